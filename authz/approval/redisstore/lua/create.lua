-- ARGV: id, body, expires. Returns {'ok', created} | {'exists'} | {'late', now}.
local id, body, expires = ARGV[1], ARGV[2], tonumber(ARGV[3])
local old = redis.call('HMGET', key(id), 'body', 'created')
if old[1] then
  if old[1] == body then return {'ok', old[2]} end
  return {'exists'}
end
local now = now_ms()
if now >= expires then return {'late', int(now)} end
local seq = int(redis.call('INCR', prefix .. 'created'))
redis.call('HSET', key(id), 'body', body, 'state', int(PENDING), 'created', int(now), 'expires', int(expires), 'seq', seq, 'votes', '0')
redis.call('ZADD', prefix .. 'all', seq, id)
redis.call('ZADD', prefix .. 'state:' .. int(PENDING), seq, id)
redis.call('ZADD', prefix .. 'deadlines', int(expires), id)
changed(id)
return {'ok', int(now)}
