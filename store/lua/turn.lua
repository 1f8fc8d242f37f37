-- KEYS record of the family, head, floors, then of the grant that is put: record, tomb, quota
-- ARGV jti of the family, name presented, name of the next, name of the request, answer, milliseconds that an answer is good
--   for, most bytes of an answer, then those of admit.lua
-- Answers {jti, ok, turned, ''}, {jti, ok, again, answer of that time}, {jti, replayed}, {jti, none | corrupt | head | closed},
-- or why the grant is refused: {jti, expired | revoked | exists | quota | corrupt}. All or nothing: the grant is put and the
-- family goes on to its next token, or neither.
local jti, presented, asked = ARGV[1], ARGV[2], ARGV[4]
local h, failed = open_head(jti, KEYS[2])
if failed then return failed end
local v, clear, turn = unpack(redis.call('HMGET', KEYS[1], 'v', 'clear', 'turn'))
if not v and not clear and redis.call('EXISTS', KEYS[1]) == 0 then return {jti, 'none'} end
local born, iat, _, kid, client, family, subject = parse_clear(clear or '')
local current, previous, at, request = parse_turn(turn or '')
if v ~= '1' or not born or not current then return {jti, 'corrupt'} end
local floors, damaged = read_floors(jti, KEYS[3], kid, client, family, subject)
if damaged then return damaged end
if is_dead(floors, tonumber(born), tonumber(iat)) then return {jti, 'none'} end

local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
if presented == previous and asked == request and math.abs(now - at) < tonumber(ARGV[6]) then
  local size = redis.call('HSTRLEN', KEYS[1], 'answer')
  if size == 0 or size > tonumber(ARGV[7]) then return {jti, 'corrupt'} end
  return {jti, 'ok', 'again', redis.call('HGET', KEYS[1], 'answer')}
end
if presented ~= current then return {jti, 'replayed'} end

local write, refused = admitted(jti, h, {KEYS[4], KEYS[2], KEYS[3], KEYS[5], KEYS[6]}, {unpack(ARGV, 8)})
if refused then return refused end
write()
redis.call('HSET', KEYS[1], 'turn', format_turn(ARGV[3], presented, now, asked), 'answer', ARGV[5])
return {jti, 'ok', 'turned', ''}
