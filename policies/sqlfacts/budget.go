package sqlfacts

import (
	"context"
	"fmt"
)

const (
	// maxSteps bounds the work on one text: places of its trees that are walked, and columns and relations that are looked
	// through. The most that ordinary texts of MaxText take is a tenth of it; it is a few seconds.
	maxSteps = 100_000_000
	// maxFacts bounds what is said of one text, in bytes.
	maxFacts = 256 << 20
	// checkEvery is after how many steps the context is asked whether anybody still waits.
	checkEvery = 4096
)

// budget is what the analysis of one text may still cost.
type budget struct {
	ctx         context.Context //nolint:containedctx // of one call, and not longer
	spent, next int
}

// spend counts steps. It fails the walk once they are too many, or nobody waits for the answer any more.
func (w *walker) spend(n int) {
	b := w.budget
	if b.spent += n; b.spent < b.next {
		return
	}
	b.next = b.spent + checkEvery
	if err := b.ctx.Err(); err != nil {
		w.fail(&Error{Code: "57014", Message: "the statement was not judged to its end: nobody waits for it any more", Err: err})
	}
	if b.spent > maxSteps {
		w.fail(&Error{
			Code:    "54000",
			Message: fmt.Sprintf("the statement takes more than %d steps to be judged: send it in parts", maxSteps),
		})
	}
}
