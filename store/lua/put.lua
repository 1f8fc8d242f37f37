-- KEYS and ARGV are those of admit.lua.
-- Answers {jti, ok | closed | expired | revoked | exists | quota | corrupt | head}; corrupt is the quota.
local h, failed = open_head(ARGV[1], KEYS[2])
if failed then return failed end
local write, refused = admitted(ARGV[1], h, KEYS, ARGV)
if refused then return refused end
write()
return {ARGV[1], 'ok'}
