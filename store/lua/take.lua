-- KEYS record, head, floors    ARGV jti, most bytes of a blob
-- Answers {jti, ok, blob, seq, incarnation, lease} or {jti, none | corrupt | head | closed}. Writes nothing.
-- Sizes are judged here, so that a value of any size written by somebody else never travels to an edge. Nothing is asked
-- of Redis as often as this: of the head it reads only what it needs, and each key only once.
local jti = ARGV[1]
local h = redis.pcall('HMGET', KEYS[2], 'opened', 'seq', 'incarnation', 'lease')
local failed = shard_error(jti, h)
if failed then return failed end
local opened, seq, incarnation, lease = unpack(h)
if opened ~= master() then return {jti, 'closed'} end
if not (parse_count(seq) and is_name(incarnation) and parse_count(lease)) then return {jti, 'head'} end

local v, clear, blob = unpack(redis.call('HMGET', KEYS[1], 'v', 'clear', 'blob'))
if not v and not clear and redis.call('EXISTS', KEYS[1]) == 0 then return {jti, 'none'} end
local born, iat, _, kid, client, family, subject = parse_clear(clear or '')
local size = blob and #blob or 0
if v ~= '1' or not born or size == 0 or size > tonumber(ARGV[2]) then return {jti, 'corrupt'} end

local floors, damaged = read_floors(jti, KEYS[3], kid, client, family, subject)
if damaged then return damaged end
if is_dead(floors, tonumber(born), tonumber(iat)) then return {jti, 'none'} end
return {jti, 'ok', blob, seq, incarnation, lease}
