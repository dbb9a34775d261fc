package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protojson"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/extproc/record"
)

// vault is the stage with the targets of the ways.
type vault struct {
	t     *testing.T
	s     *stage.Stage
	up    *script
	ports map[string]int
	token map[string]string
	x     *plants
	mu    sync.Mutex
	seen  map[string]string // what the clients got, by the name of the way
}

func newVault(t *testing.T) *vault {
	t.Helper()
	s := ownStage(t, stage.Options{})
	v := &vault{t: t, s: s, up: newScript(t), ports: map[string]int{}, token: map[string]string{}, seen: map[string]string{}}
	for _, to := range []string{"up", "pass", "two"} {
		v.ports[to] = freePort(t)
	}
	policyFile(t, s, "70-up.yaml", hiding(t, s, "up", v.ports["up"], v.up.address, ", websocket: true"))
	policyFile(t, s, "71-pass.yaml", hiding(t, s, "pass", v.ports["pass"], v.up.address, ", undecodable: PASS"))
	policyFile(t, s, "72-two.yaml", twoRules(t, s, "two", v.ports["two"], v.up.address))
	for _, as := range []string{"agent", "alice"} {
		token, err := s.Token(t.Context(), as)
		if err != nil {
			t.Fatal(err)
		}
		v.token[as] = token
	}
	v.x = &plants{token: v.token["agent"]}
	ready(t, v.ports["up"], v.token["agent"])
	ready(t, v.ports["pass"], v.token["agent"])
	// At two, the first request of the session is a way of its own.
	waitUntil(t, "the target is not served", func() bool {
		return statuses(talk(t, v.ports["two"], "", "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")) == "401"
	})
	return v
}

// take takes one way.
func (v *vault) take(n int, w passage) {
	t := v.t
	x := v.x
	if w.as == "alice" {
		x = &plants{token: v.token["alice"]}
		defer func() {
			v.x.mu.Lock()
			v.x.all = append(v.x.all, x.all...)
			v.x.mu.Unlock()
		}()
	}
	fill := x.fill(n, w)
	if w.answer != nil {
		a := scripted{stays: w.answer.stays, pause: w.answer.pause}
		for _, p := range w.answer.pieces {
			a.pieces = append(a.pieces, fill(p))
		}
		if len(a.pieces) == 2 { // a head and a body
			a = sized(a.pieces[0], a.pieces[1])
		}
		v.up.mu.Lock()
		v.up.answers[fill("{A}")] = a
		v.up.mu.Unlock()
	}
	if w.to == "" {
		w.to = "up"
	}
	port, text := v.ports[w.to], framed(fill(w.text))
	var status, seen string
	switch {
	case w.h2 != nil:
		f := frames{body: fill(w.h2.body)}
		for _, kv := range w.h2.fields {
			f.fields = append(f.fields, [2]string{kv[0], fill(kv[1])})
		}
		for _, kv := range w.h2.trailers {
			f.trailers = append(f.trailers, [2]string{kv[0], fill(kv[1])})
		}
		var err error
		if status, seen, err = f.send(t.Context(), port, ""); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	case w.held != "":
		seen = v.hold(w, port, text)
		status = statuses(seen)
	default:
		seen = slowly(t, port, "", text)
		status = statuses(seen)
	}
	if w.status != "" && status != w.status {
		t.Errorf("%s: answered %q, want %q: %.300q", w.name, status, w.status, seen)
	}
	v.mu.Lock()
	v.seen[w.name] = seen
	v.mu.Unlock()
}

// hold sends what people are asked about.
func (v *vault) hold(w passage, port int, text string) string {
	t := v.t
	said := make(chan string, 1)
	ctx, gone := context.WithCancel(t.Context())
	defer gone()
	go func() { said <- until(ctx, port, text) }()
	_, target, _ := strings.Cut(text, " ")
	target, _, _ = strings.Cut(target, " ")
	path, _, _ := strings.Cut(target, "?")
	// The path may be hidden from people: the newest is that of this way, since such ways come one after another.
	var id string
	waitUntil(t, w.name+" is not held", func() bool {
		id = approvalOf(t, v.s, "pending", "")
		return id != ""
	})
	if w.change {
		policyFile(t, v.s, "79-change.yaml", "rules:\n- {name: changed, on: {targets: [up], http: {paths: [\"/changed\"]}}, deny: {message: changed}}\n")
	}
	switch w.held {
	case "approve":
		approve(t, v.s, id)
	case "reject":
		if out, err := v.s.Sluice(t.Context(), "bob", "reject", id, "--reason", "no"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	case "gone":
		gone()
		waitUntil(t, w.name+" is not withdrawn: "+path, func() bool { return approvalOf(t, v.s, "pending", "") == "" })
	}
	return <-said
}

// until sends text and reads to the end, or until the context ends.
func until(ctx context.Context, port int, text string) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err.Error()
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, text)
	said, _ := io.ReadAll(conn) // it may be cut
	return string(said)
}

// heap is a place where secrets must not be.
type heap struct {
	name string
	data []byte
}

// files are all below some directories, as they are.
func (v *vault) files(when string, dirs ...string) (out []heap) {
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(v.s.Dir, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // what is sealed goes away meanwhile
			}
			if data, err := os.ReadFile(path); err == nil {
				out = append(out, heap{when + ": " + strings.TrimPrefix(path, v.s.Dir), data})
			}
			return nil
		})
		if err != nil {
			v.t.Error(err)
		}
	}
	return out
}

// valkey is all that it holds.
func (v *vault) valkey() heap {
	t := v.t
	c := redis.NewClient(v.s.Valkey.Options())
	defer func() { _ = c.Close() }()
	var out bytes.Buffer
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		kind, err := c.Type(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		var value any
		switch kind {
		case "string":
			value, err = c.Get(t.Context(), key).Result()
		case "hash":
			value, err = c.HGetAll(t.Context(), key).Result()
		case "set":
			value, err = c.SMembers(t.Context(), key).Result()
		case "zset":
			value, err = c.ZRange(t.Context(), key, 0, -1).Result()
		case "list":
			value, err = c.LRange(t.Context(), key, 0, -1).Result()
		case "stream":
			value, err = c.XRange(t.Context(), key, "-", "+").Result()
		case "none": // it has ended
		default:
			t.Errorf("key %s is a %s", key, kind)
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Errorf("%s: %v", key, err)
		}
		fmt.Fprintf(&out, "%s = %v\n", key, value)
	}
	return heap{"Valkey", out.Bytes()}
}

// told is what the command tells.
func (v *vault) told(as string, args ...string) heap {
	out, err := v.s.Sluice(v.t.Context(), as, args...)
	if err != nil {
		v.t.Errorf("%q: %v: %.300s", args, err, out)
	}
	return heap{strings.Join(args, " "), []byte(out)}
}

// approvals are all, one by one.
func (v *vault) approvals() []heap {
	list := v.told("alice", "approvals", "list", "--state", "all", "-o", "json")
	out := []heap{list}
	var all []struct{ ID string }
	if err := json.Unmarshal(list.data, &all); err != nil {
		v.t.Fatal(err)
	}
	for _, a := range all {
		out = append(out, v.told("alice", "approvals", "show", a.ID, "-o", "json"))
	}
	return out
}

// recorded is every event of every session, and their replays.
func (v *vault) recorded() (out []heap) {
	t := v.t
	out = append(out, v.told("carol", "sessions", "list", "--limit", "1000", "-o", "json"))
	r, err := record.OpenDir(v.s.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	ids, err := r.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		var events bytes.Buffer
		bodies := map[string][]byte{}
		for e, err := range r.Events(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := e.GetKind().(*recordv1.Event_Data); ok {
				key := fmt.Sprint(d.Data.GetDirection(), d.Data.GetNumber())
				bodies[key] = append(bodies[key], d.Data.GetBytes()...)
				continue
			}
			text, err := protojson.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			events.Write(append(text, '\n'))
		}
		for key, body := range bodies {
			fmt.Fprintf(&events, "%s: %s\n", key, body)
		}
		out = append(out, heap{"events of " + id, events.Bytes()}, v.told("carol", "sessions", "replay", id))
	}
	return out
}

func (v *vault) metrics() heap {
	text, err := v.s.Metrics(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	return heap{"metrics", []byte(text)}
}

// partsOf are all parts of a token's claims and signature of 16 bytes.
func partsOf(token string) map[string]bool {
	out := map[string]bool{}
	for _, part := range strings.Split(token, ".")[1:] {
		for i := range len(part) - 15 {
			out[part[i:i+16]] = true
		}
	}
	return out
}

// shows looks for a part of a token.
func (h heap) shows(parts map[string]bool) (at int, found bool) {
	for i := range max(0, len(h.data)-15) {
		if parts[string(h.data[i:i+16])] {
			return i, true
		}
	}
	return 0, false
}

func (h heap) around(i int) []byte { return h.data[max(0, i-120):min(len(h.data), i+120)] }

// judge looks for every secret everywhere.
func (v *vault) judge(heaps []heap) {
	t := v.t
	parts := partsOf(v.token["agent"])
	for part := range partsOf(v.token["alice"]) {
		parts[part] = true
	}
	controls, found, leaks := 0, map[string]bool{}, map[string][]string{}
	for _, h := range heaps {
		if i, ok := h.shows(parts); ok {
			t.Errorf("%s has a part of a token: %q", h.name, h.around(i))
		}
		for _, key := range []string{realKey, apiSecret, base64.StdEncoding.EncodeToString([]byte(realKey))} {
			if i := bytes.Index(h.data, []byte(key)); i >= 0 {
				t.Errorf("%s has the service's credential: %q", h.name, h.around(i))
			}
		}
		for _, p := range v.x.all {
			forms := []string{p.value, p.value[len(p.value)-16:], url.QueryEscape(p.value), percent(p.value), base64.StdEncoding.EncodeToString([]byte(p.value))}
			for _, form := range forms {
				i := bytes.Index(h.data, []byte(form))
				if i < 0 {
					continue
				}
				if p.control {
					found[p.value] = true
				} else {
					leaks[p.name] = append(leaks[p.name], fmt.Sprintf("%s has %q: %q", h.name, form, h.around(i)))
				}
				break
			}
		}
	}
	for name, all := range leaks {
		t.Errorf("%s leaks in %d places: %s", name, len(all), all[0])
	}
	for _, p := range v.x.all {
		if p.control {
			controls++
		}
	}
	t.Logf("%d places, %d secrets, %d of %d controls", len(heaps), len(v.x.all)-controls, len(found), controls)
}

// judgeSeen looks for secrets with clients.
func (v *vault) judgeSeen() {
	for name, seen := range v.seen {
		if strings.Contains(seen, realKey) {
			v.t.Errorf("%s: the client got the service's credential: %q", name, seen)
		}
		if _, ok := (heap{data: []byte(seen)}).shows(partsOf(v.x.token)); ok {
			v.t.Errorf("%s: the client got a part of the token: %.300q", name, seen)
		}
		for _, p := range v.x.all {
			if !p.control && !p.seen && strings.Contains(seen, p.value) {
				v.t.Errorf("%s: the client got %q: %.300q", name, p.value, seen)
			}
		}
	}
}

// wants checks that a control is in one of the places that have a name: what is looked for can be found there.
func (v *vault) wants(way, place string, heaps []heap) {
	for _, p := range v.x.all {
		if p.name != way || !p.control {
			continue
		}
		for _, h := range heaps {
			if strings.HasPrefix(h.name, place) && bytes.Contains(h.data, []byte(p.value)) {
				return
			}
		}
		v.t.Errorf("the control of %q is not in %s: this test would find no secret there either", way, place)
		return
	}
	v.t.Errorf("%q has no control", way)
}

// No secret comes where people or programs read it later: not into the record, Redis, logs, metrics, nor what approvers see.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	v := newVault(t)
	n := 0
	var wg sync.WaitGroup
	var heldOnes []passage
	limit := make(chan struct{}, 8)
	for _, w := range append(append(requestWays(), answerWays()...), tokenWays()...) {
		if w.held != "" {
			heldOnes = append(heldOnes, w)
			continue
		}
		n++
		number := n
		if w.to == "two" { // in order: the first begins the session
			v.take(number, w)
			continue
		}
		limit <- struct{}{}
		wg.Go(func() {
			v.take(number, w)
			<-limit
		})
	}
	wg.Wait()
	for _, w := range heldOnes {
		n++
		v.take(n, w)
	}
	heaps := append(v.approvals(), v.metrics(), v.valkey())
	heaps = append(heaps, v.files("alive", "state", "log", "valkey")...)
	v.s.StopSluice() // sessions end with it
	if err := v.s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	heaps = append(heaps, v.recorded()...)
	heaps = append(heaps, v.files("ended", "state", "log", "valkey")...)
	t.Logf("%d ways", n)
	v.judge(heaps)
	v.judgeSeen()
	v.wants("header", "events", heaps)
	v.wants("header", "sessions replay", heaps)
	v.wants("agent: JSON", "events", heaps)
	v.wants("agent: headers", "sessions replay", heaps)
	v.wants("denied body", "events", heaps)
	v.wants("held body", "approvals show", heaps)
	v.wants("held body", "Valkey", heaps)
	v.wants("held path", "approvals list", heaps)
	v.wants("header", "alive: /state/recordings", heaps)
}
