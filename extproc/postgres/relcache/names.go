package relcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Names remembers under which names the relations and columns of databases were known since Sluice first saw them, by
// OID and attribute number: a mask stays with what it named, whatever that is called later. It is kept in
// files, one a database, so that a restart forgets nothing. It is safe for concurrent use and shared by all caches of a
// process.
type Names struct {
	dir string // empty: in memory only
	now func() time.Time

	mu        sync.Mutex
	databases map[string]*history
}

// NewNames keeps files in a directory, which it makes; without one it forgets with the process.
func NewNames(dir string, now func() time.Time) *Names {
	return &Names{dir: dir, now: now, databases: map[string]*history{}}
}

const (
	// maxFormer bounds the names of one relation or column: the first ones, and the latest.
	maxFormer = 16
	// keepGone is how long what is gone from a catalog is remembered: a standby may be behind. At most maxGone are.
	keepGone = time.Hour
	maxGone  = 10_000
)

// history is what is known of one database.
type history struct {
	path string

	mu sync.Mutex
	// Relations by OID.
	Relations map[uint32]*past `json:"relations"`
	gone      map[uint32]time.Time
}

// past are the names of a relation since it was first seen.
type past struct {
	// Own are its names, Kin those of what it inherited from.
	Own []sqlfacts.Name `json:"own"`
	Kin []sqlfacts.Name `json:"kin,omitempty"`
	// Columns by attribute number.
	Columns map[int16]*pastColumn `json:"columns"`
}

// pastColumn are the names of a column, and of those that it was worked out from.
type pastColumn struct {
	Own  []string `json:"own"`
	From []string `json:"from,omitempty"`
}

// of gives the history of a database. An error says that its file cannot be read: nothing may be decided without it.
func (n *Names) of(database string) (*history, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.databases[database]; h != nil {
		return h, nil
	}
	h := &history{Relations: map[uint32]*past{}, gone: map[uint32]time.Time{}}
	if n.dir != "" {
		h.path = filepath.Join(n.dir, database+".json")
		if err := h.load(); err != nil {
			return nil, fmt.Errorf("the names that masks go by cannot be read from %s: %w (without it, renamed columns would be in clear)", h.path, err)
		}
	}
	n.databases[database] = h
	return h, nil
}

func (h *history) load() error {
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, h); err != nil {
		return err
	}
	for oid, p := range h.Relations {
		if p == nil {
			return fmt.Errorf("relation %d is null", oid)
		}
		for number, c := range p.Columns {
			if c == nil {
				return fmt.Errorf("column %d of relation %d is null", number, oid)
			}
		}
	}
	return nil
}

// save writes the file anew, whole or not at all.
func (h *history) save() error {
	if h.path == "" {
		return nil
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	next := h.path + ".new"
	f, err := os.OpenFile(filepath.Clean(next), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync() // an empty file after a loss of power would stop everything
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(next, h.path)
}

// remember takes in the names of a snapshot that nobody has yet, and gives it the former ones. An error says that they
// could not be kept.
func (n *Names) remember(database string, s *snapshot) error {
	h, err := n.of(database)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := h.forget(s, n.now())
	for _, oid := range sortedKeys(s.byOID) { // parents are mostly older: what they were called is known before
		if rel := s.byOID[oid]; memorable(rel) {
			changed = h.learn(rel, s) || changed
		}
	}
	for oid, p := range h.Relations {
		if rel := s.byOID[oid]; rel != nil {
			p.tell(rel)
		}
	}
	if !changed {
		return nil
	}
	if err := h.save(); err != nil {
		return fmt.Errorf("the names that masks go by cannot be kept: %w", err)
	}
	return nil
}

// memorable: the system's own are never renamed, and temporary ones are not supported.
func memorable(rel *sqlfacts.Relation) bool {
	return rel.OID >= firstUserOID && !temporary(rel.Schema)
}

func temporary(schema string) bool {
	return len(schema) >= 7 && (schema[:7] == "pg_temp" || schema[:7] == "pg_toas")
}

// forget drops what has been gone for a while.
func (h *history) forget(s *snapshot, now time.Time) (changed bool) {
	for oid := range h.Relations {
		if s.byOID[oid] != nil {
			delete(h.gone, oid)
			continue
		}
		since, known := h.gone[oid]
		if !known {
			h.gone[oid] = now
			since = now
		}
		if now.Sub(since) > keepGone || len(h.gone) > maxGone {
			delete(h.Relations, oid)
			delete(h.gone, oid)
			changed = true
		}
	}
	return changed
}

func (h *history) learn(rel *sqlfacts.Relation, s *snapshot) (changed bool) {
	p := h.Relations[rel.OID]
	if p == nil {
		p = &past{Columns: make(map[int16]*pastColumn, len(rel.Columns))}
		h.Relations[rel.OID] = p
		changed = true
	}
	if p.Columns == nil {
		p.Columns = map[int16]*pastColumn{}
	}
	changed = add(&p.Own, sqlfacts.Name{Schema: rel.Schema, Name: rel.Name}) || changed
	for _, oid := range rel.Parents {
		parent := s.byOID[oid]
		if parent == nil {
			continue
		}
		changed = add(&p.Kin, sqlfacts.Name{Schema: parent.Schema, Name: parent.Name}) || changed
		if before := h.Relations[oid]; before != nil {
			for _, name := range slices.Concat(before.Own, before.Kin) {
				changed = add(&p.Kin, name) || changed
			}
		}
	}
	for i := range rel.Columns {
		column := &rel.Columns[i]
		c := p.Columns[column.Number]
		if c == nil {
			c = &pastColumn{}
			p.Columns[column.Number] = c
		}
		changed = add(&c.Own, column.Name) || changed
	}
	for i := range rel.Columns {
		for _, number := range rel.Columns[i].From {
			if base := p.Columns[number]; base != nil {
				for _, name := range slices.Concat(base.Own, base.From) {
					changed = add(&p.Columns[rel.Columns[i].Number].From, name) || changed
				}
			}
		}
	}
	for number := range p.Columns {
		if rel.ColumnByNumber(number) == nil { // numbers are not used again
			delete(p.Columns, number)
			changed = true
		}
	}
	return changed
}

// add adds a name that is not there; of too many, the latest but one goes.
func add[T comparable](list *[]T, name T) bool {
	if slices.Contains(*list, name) {
		return false
	}
	if len(*list) >= maxFormer {
		(*list)[maxFormer-1] = name
		return true
	}
	*list = append(*list, name)
	return true
}

// tell gives a relation its former names.
func (p *past) tell(rel *sqlfacts.Relation) {
	for _, name := range p.Own {
		if name.Schema != rel.Schema || name.Name != rel.Name {
			rel.Former = append(rel.Former, name)
			rel.Reach = append(rel.Reach, sqlfacts.Reach{Object: name.Schema + "." + name.Name, On: touchAll, Up: true})
		}
	}
	rel.FormerKin = slices.Clone(p.Kin)
	for i := range rel.Columns {
		column := &rel.Columns[i]
		c := p.Columns[column.Number]
		if c == nil {
			continue
		}
		for _, name := range c.Own {
			if name != column.Name {
				column.Former = append(column.Former, name)
			}
		}
		column.FromFormer = slices.Clone(c.From)
	}
}
