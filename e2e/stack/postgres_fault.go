package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Kill ends the server and its sessions at once, as a power cut does. StartPostgres on the same
// Dir recovers the data.
func (p *Postgres) Kill() {
	sessions := children(p.process.pid)
	p.process.kill()
	for _, pid := range sessions {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = os.RemoveAll(p.SocketDir)
}

// Pause freezes the server and all its sessions: connections stay open and nothing answers.
func (p *Postgres) Pause() {
	// The server first: it starts no session after that.
	p.process.signal(syscall.SIGSTOP)
	p.paused = children(p.process.pid)
	for _, pid := range p.paused {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
}

// Resume ends a Pause. Without one it does nothing.
func (p *Postgres) Resume() {
	for _, pid := range p.paused {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	p.paused = nil
	p.process.signal(syscall.SIGCONT)
}

// children are the processes whose parent is pid: each session of PostgreSQL is one.
func children(pid int) (found []int) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; the name may hold anything (proc_pid_stat(5)).
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		const parent = 1
		if len(fields) > parent && string(fields[parent]) == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}
