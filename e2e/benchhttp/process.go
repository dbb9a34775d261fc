package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memoryOf is a line of proc(5)'s status of a process, in bytes.
func memoryOf(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no " + name + " in /proc: this needs Linux")
}

// resident is what a process has in memory, and what of it the machine has moved out.
func resident(pid int) (int64, error) {
	rss, err := memoryOf(pid, "VmRSS")
	if err != nil {
		return 0, err
	}
	swap, err := memoryOf(pid, "VmSwap")
	return rss + swap, err
}

// tick is the unit of processor time in /proc (sysconf(_SC_CLK_TCK), which is 100 wherever Linux runs).
const tick = 10 * time.Millisecond

// usedBy is the processor time that a process has used, with a precision of tick (proc(5), stat).
func usedBy(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may have blanks in it. utime and stime are the 14th and 15th in all.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	sum := int64(0)
	for _, f := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// forgetPeak begins VmHWM anew (proc(5), clear_refs).
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600)
}

// machineLoad is how busy the machine is with everything (proc(5), loadavg).
func machineLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
