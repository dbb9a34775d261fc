-- ARGV: after, limit. Moves what is past its deadline, then returns {seq, more, reset, id, ...}.
local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_ms()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'deadlines', '-inf', int(now), 'LIMIT', 0, 500)) do
  if not settle(id, now) then redis.call('ZREM', prefix .. 'deadlines', id) end
end
-- Approvals whose hash is gone (KEEP has passed) leave the sets, oldest first, a few at a time.
for _, id in ipairs(redis.call('ZRANGE', prefix .. 'all', 0, 9)) do
  if redis.call('EXISTS', key(id)) == 1 then break end
  redis.call('ZREM', prefix .. 'all', id)
  redis.call('ZREM', prefix .. 'changes', id)
  redis.call('ZREM', prefix .. 'deadlines', id)
  for state = 1, 6 do redis.call('ZREM', prefix .. 'state:' .. int(state), id) end
end
local seq = tonumber(redis.call('GET', prefix .. 'seq') or '0')
if after < 0 then return {int(seq), '0', '0'} end
if after > seq then return {int(seq), '0', '1'} end
local found = redis.call('ZRANGEBYSCORE', prefix .. 'changes', '(' .. int(after), '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local out = {int(seq), '0', '0'}
for i = 1, #found, 2 do out[#out + 1] = found[i] end
if #found == 2 * limit then
  out[1], out[2] = int(tonumber(found[#found])), '1'
end
return out
