package redisstore

import "context"

// Watch implements approval.Store by Pub/Sub. go-redis connects again by itself after a loss; each new subscription is
// a hint too, for what happened in between was not heard.
func (s *Store) Watch(ctx context.Context) <-chan struct{} {
	hints := make(chan struct{}, 1)
	sub := s.client.Subscribe(ctx, prefix+"changed")
	go func() {
		defer close(hints)
		defer func() { _ = sub.Close() }()
		heard := sub.ChannelWithSubscriptions()
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-heard:
				if !ok {
					return
				}
			}
			select {
			case hints <- struct{}{}:
			default: // one that nobody has taken yet says the same
			}
		}
	}()
	return hints
}
