-- KEYS record, head, floors    ARGV jti, most bytes of a blob
-- Answers {jti, ok, blob, seq, incarnation, lease} or {jti, none | corrupt | head | closed}. Writes nothing.
-- Sizes are judged here, so that a value of any size written by somebody else never travels to an edge.
local jti = ARGV[1]
local h, failed = open_head(jti, KEYS[2])
if failed then return failed end
local r = redis.call('HMGET', KEYS[1], 'v', 'clear')
if not r[1] and not r[2] and redis.call('EXISTS', KEYS[1]) == 0 then return {jti, 'none'} end

local born, iat, _, kid, client, family, subject = parse_clear(r[2] or '')
if r[1] ~= '1' or not born then return {jti, 'corrupt'} end
local size = redis.call('HSTRLEN', KEYS[1], 'blob')
if size == 0 or size > tonumber(ARGV[2]) then return {jti, 'corrupt'} end

local floors, damaged = read_floors(jti, KEYS[3], kid, client, family, subject)
if damaged then return damaged end
if is_dead(floors, tonumber(born), tonumber(iat)) then return {jti, 'none'} end
return {jti, 'ok', redis.call('HGET', KEYS[1], 'blob'), format_count(h.seq), h.incarnation, format_count(h.lease)}
