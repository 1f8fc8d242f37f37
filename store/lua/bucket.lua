-- Put in front of the scripts that keep quotas; bucketEnd in quota.go computes the same.
local function bucket_end(issued, expires)
  local width = 1
  while width * 32 < expires - issued do width = width * 2 end
  return string.format('%.0f', math.ceil(expires / width) * width)
end

-- A bucket's value is '<grants>:<bytes>'.
local function parse_usage(value)
  local grants, bytes = string.match(value, '^(%d+):(%d+)$')
  return parse_count(grants), parse_count(bytes)
end

local function format_usage(grants, bytes)
  return string.format('%.0f:%.0f', grants, bytes)
end

