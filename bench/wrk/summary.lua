-- Prints wrk's own count as one line of JSON, after the word "summary".

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'summary {"requests":%d,"bytes":%d,"microseconds":%d,"p50":%d,"p99":%d,' ..
        '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
        summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
        e.connect, e.read, e.write, e.status, e.timeout))
end
