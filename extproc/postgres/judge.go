package postgres

import (
	"context"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// catalog is what a judge knows of the database's.
type catalog interface {
	// Snapshot is of this moment, with names looked up along a search_path.
	Snapshot(ctx context.Context, path []string) (sqlfacts.Catalog, error)
	// Latest may be of a moment ago: what stands in it must decide nothing.
	Latest(ctx context.Context, path []string) (sqlfacts.Catalog, error)
	// Invalidate makes the next snapshot a new one.
	Invalidate()
}

// judge decides what one session asks, and has people asked. It reaches the server and the agent by the pipes only, and
// belongs to the agent's side.
type judge struct {
	o         *Options
	session   string
	admission *guard.Admission
	// attributes are what conditions of rules may read of the session.
	attributes map[string]any

	engine   *engine.Engine
	pipes    *pipes
	scribe   *scribe
	turn     *turn
	claimant *claimant
	catalog  catalog
	views    viewCache
	// before is what the same texts were found to be before.
	before precedents

	// path is where names are looked up, as it was asked last; pathOf is the version of the catalog then.
	path   []string
	pathOf uint64
	// altered: something was let through that may change the catalog, and it has not been looked at again. moved: the same
	// of the role, the search_path and how a text is read.
	altered, moved bool
	// unread is what becomes of the text at hand if it could not be asked how that will be read; nil if it could.
	unread *engine.Refusal
	// alterations counts what may have changed the catalog.
	alterations int
	// renamed: among what altered the catalog was what makes names mean other relations.
	renamed bool
	// freed are the names that were freed then.
	freed change
}
