-- KEYS record, head, floors, tomb    ARGV jti
-- Answers {jti, ok, line} or {jti, none | revoked | corrupt | head | closed}. Writes nothing.
local jti = ARGV[1]
local _, failed = open_head(jti, KEYS[2])
if failed then return failed end
local line, damaged = listed(jti, jti, KEYS[1], KEYS[3])
if damaged then return damaged end
if line then return {jti, 'ok', line} end
return {jti, redis.call('EXISTS', KEYS[4]) == 1 and 'revoked' or 'none'}
