-- ARGV: ids. Returns for each a hash as a list; an empty one where there is nothing.
local now = now_ms()
local out = {}
for i, id in ipairs(ARGV) do
  settle(id, now)
  out[i] = redis.call('HGETALL', key(id))
end
return out
