-- KEYS record, head    ARGV jti, most bytes of a blob
-- Answers {jti, ok, blob, seq, incarnation} or {jti, none | corrupt | head}. Writes nothing.
-- A record without a head is a damaged head too: the put that wrote the one wrote the other.
-- Sizes are judged here, so that a value of any size written by somebody else never travels to an edge.
local jti = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {jti, 'none'} end

local r = redis.call('HMGET', KEYS[1], 'v', 'clear')
if r[1] ~= '1' or not r[2] or not parse_clear(r[2]) then return {jti, 'corrupt'} end
local size = redis.call('HSTRLEN', KEYS[1], 'blob')
if size == 0 or size > tonumber(ARGV[2]) then return {jti, 'corrupt'} end

local head = redis.pcall('HMGET', KEYS[2], 'seq', 'incarnation')
local failed = head_error(jti, head)
if failed then return failed end
if not head[1] or not is_seq(head[1]) or not head[2] or #head[2] > 64 then return {jti, 'head'} end
return {jti, 'ok', redis.call('HGET', KEYS[1], 'blob'), head[1], head[2]}
