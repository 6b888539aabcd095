-- wrk script: `wrk ... -s keepalive.lua URL` sends one request at a time, with the heads of heads.lua in turn.
--
-- wrk repeats one text for as long as a script defines no `request`; one that does is called before every write. So variety
-- costs the load generator a call from C that returns a string made beforehand and a copy of it, and the server nothing.

local directory = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
local heads = dofile(directory .. "heads.lua")

local requests = {}
local turn = 0

function init()
   requests = heads.batches(1)
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end
