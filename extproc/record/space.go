package record

import "log/slog"

// watchSpace looks at what is free on the disk: below WarnFree it warns, once until there is more again, below StopFree
// nothing is recorded. What cannot be asked counts as nothing free.
func (r *Recorder) watchSpace() {
	free, err := r.opts.free(r.dir)
	if err != nil {
		free = 0
		r.opts.Logger.Error("free space of the recordings is unknown", slog.Any("error", err))
	}
	stop := free < r.opts.StopFree
	if was := r.low.Swap(stop); stop != was {
		if stop {
			r.opts.Logger.Error("too little space for recordings, sessions stop", slog.Uint64("free_bytes", free), slog.Uint64("stop_free_bytes", r.opts.StopFree))
		} else {
			r.opts.Logger.Info("space for recordings again", slog.Uint64("free_bytes", free))
		}
	}
	warn := free < r.opts.WarnFree
	if was := r.warned.Swap(warn); warn && !was {
		r.opts.Logger.Warn("space for recordings runs out", slog.Uint64("free_bytes", free), slog.Uint64("warn_free_bytes", r.opts.WarnFree))
	}
}
