-- KEYS state    ARGV name, most bytes of a blob
-- Answers {name, ok, version, blob} or {name, none | corrupt}. Writes nothing.
local name = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {name, 'none'} end

local version = redis.call('HGET', KEYS[1], 'version')
local size = redis.call('HSTRLEN', KEYS[1], 'blob')
if not version or #version > 20 or size == 0 or size > tonumber(ARGV[2]) then return {name, 'corrupt'} end
return {name, 'ok', version, redis.call('HGET', KEYS[1], 'blob')}
