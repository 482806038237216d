-- For wrk: milliseconds between an answer and the next request of a connection.
function delay()
   return 5
end
