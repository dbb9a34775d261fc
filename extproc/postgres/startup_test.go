package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/guard"
)

func packet(code uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

func TestStartupParameters(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       map[string]string
		bad        bool
	}{
		{"names and values", "user\x00a\x00database\x00d\x00\x00", map[string]string{"user": "a", "database": "d"}, false},
		{"an empty value", "user\x00\x00\x00", map[string]string{"user": ""}, false},
		{"no end", "user\x00a\x00", nil, true},
		{"a name without a value", "user\x00", nil, true},
		{"bytes behind the end", "user\x00a\x00\x00x", nil, true},
		{"a name twice", "user\x00a\x00user\x00b\x00\x00", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hello{}
			err := h.readParameters([]byte(c.body))
			if (err != nil) != c.bad {
				t.Fatalf("got %v", err)
			}
			if !c.bad {
				if diff := cmp.Diff(c.want, h.parameters); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestTheDatabaseSeesWhoAsksAndWhatTheClientCallsItself: in 63 bytes, which is as much as it keeps.
func TestTheDatabaseSeesWhoAsksAndWhatTheClientCallsItself(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, c := range map[string]struct{ subject, id, own, want string }{
		"all of it":             {"agent", "p1-A", "psql", "sluice/agent/p1-A psql"},
		"no name":               {"agent", "p1-A", "", "sluice/agent/p1-A"},
		"a long name":           {"agent", "p1-A", long, "sluice/agent/p1-A " + long[:45]},
		"a long subject":        {long, "p1-A", "psql", "sluice/" + long[:51] + "/p1-A"},
		"room for one":          {long[:49], "p1-A", "psql", "sluice/" + long[:49] + "/p1-A p"},
		"no session of another": {"a/p1-B x", "p1-A", "b/p1-C\n", "sluice/a?p1-B?x/p1-A b/p1-C?"},
		"not ASCII":             {"é", "p1-A", "é", "sluice/??/p1-A ??"},
	} {
		a := &guard.Admission{Principal: &identityv1.Principal{Subject: c.subject}}
		if got := applicationName(a, c.id, c.own); got != c.want || len(got) > 63 {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestStartupPacketSizes(t *testing.T) {
	for name, b := range map[string][]byte{
		"negative":       {0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		"too small":      {0, 0, 0, 7, 0, 3, 0, 0},
		"too large":      {0, 1, 0, 0, 0, 3, 0, 0},
		"less than said": {0, 0, 0, 20, 0, 3, 0, 0, 'x'},
	} {
		if _, _, err := readStartup(bytes.NewReader(b)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		options string
		want    map[string]string
		bad     bool
	}{
		{"-c statement_timeout=5s", map[string]string{"statement_timeout": "5s"}, false},
		{"-cwork_mem=1MB --time-zone=UTC", map[string]string{"work_mem": "1MB", "time_zone": "UTC"}, false},
		{`-c datestyle=ISO,\ MDY`, map[string]string{"datestyle": "ISO, MDY"}, false},
		{"", map[string]string{}, false},
		{"-d 5", nil, true},
		{"-c", nil, true},
		{"-c search_path", nil, true},
	} {
		got := map[string]string{}
		err := parseOptions(c.options, got)
		if (err != nil) != c.bad {
			t.Errorf("%q: %v", c.options, err)
		} else if diff := cmp.Diff(c.want, got); !c.bad && diff != "" {
			t.Errorf("%q: %s", c.options, diff)
		}
	}
}

// FuzzStartup: no bytes of a client's make the startup code fail otherwise than by an error.
func FuzzStartup(f *testing.F) {
	f.Add(packet(3<<16, "user\x00a\x00database\x00d\x00options\x00-c a=b\x00\x00"))
	f.Add(packet(codeTLS, ""))
	f.Add(packet(codeCancel, "\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		code, body, err := readStartup(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(body)+8 > len(b) || len(body) > maxStartup {
			t.Fatalf("a body of %d bytes from %d", len(body), len(b))
		}
		h := &hello{}
		if code>>16 != 3 || h.readParameters(body) != nil {
			return
		}
		for name, value := range h.parameters {
			if name == "" {
				t.Fatal("an empty name")
			}
			_ = parseOptions(value, map[string]string{})
		}
	})
}

func TestOptionsAreReadToTheirEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		options string
		want    map[string]string
		bad     bool
	}{
		{"a setting", "-c work_mem=1MB", map[string]string{"work_mem": "1MB"}, false},
		{"options within options", "-c options=-crole=x", map[string]string{"role": "x"}, false},
		{"twice", `-c options=-coptions=--role=x`, map[string]string{"role": "x"}, false},
		{"in capitals", "--OPTIONS=-crole=x", map[string]string{"role": "x"}, false},
		{"several within", `--options=-crole=x\ -cwork_mem=1MB -c statement_timeout=5`, map[string]string{"role": "x", "work_mem": "1MB", "statement_timeout": "5"}, false},
		{"labels", "-c user=postgres -c database=other -c application_name=x", map[string]string{}, false},
		{"replication", "-c replication=database", nil, true},
		{"another encoding is decided like SET", "-c options=-cclient_encoding=LATIN1", map[string]string{"client_encoding": "LATIN1"}, false},
		{"what is no setting, within", "-c options=-B1", nil, true},
		{"without end", "-coptions=-coptions=-coptions=-coptions=-coptions=-crole=x", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := map[string]string{}
			err := addSettings(map[string]string{"options": c.options}, got, 0)
			if (err != nil) != c.bad {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" && !c.bad {
				t.Error(diff)
			}
		})
	}
}
