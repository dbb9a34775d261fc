package record

// watchSpace looks at what is free on the disk: below WarnFree it warns, once until there is more again, below StopFree
// nothing is recorded (DESIGN 3.14). What cannot be asked counts as nothing free.
func (r *Recorder) watchSpace() {
	free, err := r.opts.free(r.dir)
	if err != nil {
		free = 0
		r.opts.Logger.Error("free space of the recordings is unknown", "error", err)
	}
	stop := free < r.opts.StopFree
	if was := r.low.Swap(stop); stop != was {
		if stop {
			r.opts.Logger.Error("too little space for recordings, sessions stop", "free_bytes", free, "stop_free_bytes", r.opts.StopFree)
		} else {
			r.opts.Logger.Info("space for recordings again", "free_bytes", free)
		}
	}
	warn := free < r.opts.WarnFree
	if was := r.warned.Swap(warn); warn && !was {
		r.opts.Logger.Warn("space for recordings runs out", "free_bytes", free, "warn_free_bytes", r.opts.WarnFree)
	}
}
