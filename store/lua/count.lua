-- nil for what is no count ('inf' and 'nan' are numbers to Lua), or is one that Lua cannot hold exactly or Redis not at
-- all, as a time.
local function parse_count(text)
  local n = tonumber(string.match(text or '', '^%d+$'))
  if n and n < 2^53 then return n end
end

local function format_count(n) return string.format('%.0f', n) end
