-- Put in front of revoke.lua: gives the bytes of a grant back to its client, not its place among the
-- client's grants, which ends with its bucket: what a revocation leaves in Redis lives as long, and whoever minted and revoked
-- in turn would fill it. The client is known only from the record,
-- so its key cannot be among KEYS; it has their hash tag. Best effort: a record that somebody else damaged gives nothing
-- back, and its bucket ends by itself.
local function give_back(quotas, clear, size)
  pcall(function()
    local _, iat, exp, _, client = parse_clear(clear)
    local quota, field = quotas .. client, bucket_end(tonumber(iat), tonumber(exp))
    local grants, bytes = parse_usage(redis.call('HGET', quota, field))
    redis.call('HSET', quota, field, format_usage(grants, math.max(bytes - size, 0)))
  end)
end
