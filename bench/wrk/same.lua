-- Sends the one request of a file, byte for byte: wrk ... -s same.lua URL -- FILE

local directory = debug.getinfo(1, "S").source:match("^@(.*)/")
dofile(directory .. "/summary.lua")

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    local request = file:read("*a")
    file:close()
    -- wrk formats a request once and keeps it, as long as there is no request() here.
    wrk.format = function() return request end
end
