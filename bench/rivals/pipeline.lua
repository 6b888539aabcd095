-- wrk script: `wrk ... -s pipeline.lua URL -- DEPTH [plain|mixed]` sends DEPTH requests in one write.
--
-- plain: the head that wrk itself would send, so figures compare with unpipelined runs.
-- mixed: heads as different clients send them, in turn. A server that memoises one head wins nothing here.

local mixes = {
   plain = { {} },
   mixed = {
      { ["User-Agent"] = "curl/8.14.1", ["Accept"] = "*/*" },
      {
         ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
         ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
         ["Accept-Language"] = "en-US,en;q=0.5",
         ["Accept-Encoding"] = "gzip, deflate, br, zstd",
         ["Cookie"] = "session=8b3c7d2e9f104a56b7c8d9e0f1a2b3c4; theme=dark",
         ["Upgrade-Insecure-Requests"] = "1",
         ["Sec-Fetch-Dest"] = "document",
         ["Sec-Fetch-Mode"] = "navigate",
         ["Sec-Fetch-Site"] = "none",
      },
      {},
      {
         ["User-Agent"] = "Go-http-client/1.1",
         ["Accept"] = "application/json",
         ["Authorization"] = "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
         ["X-Request-Id"] = "0f8fad5b-d9cb-469f-a165-70867728950e",
         ["Traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      },
      {
         ["X-Forwarded-For"] = "203.0.113.195, 198.51.100.7",
         ["X-Forwarded-Proto"] = "https",
         ["User-Agent"] = "kube-probe/1.34",
         ["Accept-Encoding"] = "gzip",
      },
   },
}

-- Enough different batches that no one of them stays the same for long.
local batch_count_max = 8

local batches = {}
local turn = 0

function init(arguments)
   local depth = tonumber(arguments[1] or "16")
   if depth == nil or depth < 1 or depth > 1024 then
      error("pipeline.lua: DEPTH must be a number from 1 to 1024, not " .. tostring(arguments[1]))
   end
   local heads = mixes[arguments[2] or "plain"]
   if heads == nil then
      error("pipeline.lua: the mix is plain or mixed, not " .. tostring(arguments[2]))
   end
   local batch_count = (#heads == 1) and 1 or batch_count_max
   local next_head = 0
   for batch = 1, batch_count do
      local requests = {}
      for index = 1, depth do
         local fields = {}
         for name, value in pairs(heads[next_head % #heads + 1]) do
            fields[name] = value
         end
         -- Fields given by `wrk -H` belong to every request.
         for name, value in pairs(wrk.headers) do
            fields[name] = value
         end
         requests[index] = wrk.format(nil, nil, fields)
         next_head = next_head + 1
      end
      -- A whole number of batches must not repeat the same order of heads.
      next_head = next_head + 1
      batches[batch] = table.concat(requests)
   end
end

function request()
   turn = turn % #batches + 1
   return batches[turn]
end
