-- Sends the requests of a file in random order: wrk ... -s any.lua URL -- FILE
-- The file's requests have no body: each ends with its empty line.

local directory = debug.getinfo(1, "S").source:match("^@(.*)/")
dofile(directory .. "/summary.lua")

local requests = {}

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    for request in file:read("*a"):gmatch("(.-\r\n\r\n)") do requests[#requests + 1] = request end
    file:close()
    math.randomseed(20)
end

function request()
    return requests[math.random(#requests)]
end
