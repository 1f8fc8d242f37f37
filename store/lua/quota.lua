-- Put in front of revoke.lua: gives a client's quota back. The client is known only from the record,
-- so its key cannot be among KEYS; it has their hash tag. Best effort: a record that somebody else damaged gives nothing
-- back, and its bucket ends by itself.
local function give_back(quotas, clear, size)
  pcall(function()
    local _, iat, exp, _, client = parse_clear(clear)
    local quota, field = quotas .. client, bucket_end(tonumber(iat), tonumber(exp))
    local grants, bytes = parse_usage(redis.call('HGET', quota, field))
    if grants > 1 then
      redis.call('HSET', quota, field, format_usage(grants - 1, math.max(bytes - size, 0)))
    else
      redis.call('HDEL', quota, field)
    end
  end)
end
