-- wrk script: `wrk ... -s pipeline.lua URL -- DEPTH [plain|mixed]` sends DEPTH requests in one write.
--
-- plain: the head that wrk itself would send, so figures compare with unpipelined runs.
-- mixed: the heads of heads.lua in turn. A server that memoises one head wins nothing here.

local directory = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
local heads = dofile(directory .. "heads.lua")

local batches = {}
local turn = 0

function init(arguments)
   local depth = tonumber(arguments[1] or "16")
   if depth == nil or depth < 1 or depth > 1024 then
      error("pipeline.lua: DEPTH must be a number from 1 to 1024, not " .. tostring(arguments[1]))
   end
   local mix = arguments[2] or "plain"
   if mix == "plain" then
      batches = { string.rep(wrk.format(), depth) }
   elseif mix == "mixed" then
      batches = heads.batches(depth)
   else
      error("pipeline.lua: the mix is plain or mixed, not " .. tostring(mix))
   end
end

function request()
   turn = turn % #batches + 1
   return batches[turn]
end
