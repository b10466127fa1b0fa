package contest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time in /proc, fixed at 1/100 s for programs.
const tick = 10 * time.Millisecond

// process is what /proc says of one process.
type process struct {
	parent int
	cpu    time.Duration // with that of ended children it waited for
	rss    int64         // bytes
}

// processes reads all processes there are.
func processes() map[int]process {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	all := make(map[int]process, len(files))
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		if p, ok := parseStat(string(text)); ok {
			all[pid] = p
		}
	}
	return all
}

// parseStat reads a line of /proc/PID/stat. The name in brackets may hold
// anything, so the fields are counted from the last bracket.
func parseStat(text string) (process, bool) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return process{}, false
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 22 {
		return process{}, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	ticks := number(11) + number(12) + number(13) + number(14)
	return process{
		parent: int(number(1)),
		cpu:    time.Duration(ticks) * tick,
		rss:    number(21) * int64(os.Getpagesize()),
	}, true
}

// tree adds up a process and all below it.
func tree(all map[int]process, root int) (cpu time.Duration, rss int64) {
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	for queue := []int{root}; len(queue) > 0; {
		pid := queue[0]
		queue = append(queue[1:], children[pid]...)
		cpu += all[pid].cpu
		rss += all[pid].rss
	}
	return cpu, rss
}

// busy is the CPU time that all processes together have used.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("not the line of all CPUs: %q", line)
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// A meter reads how much CPU time the server, the database and everything
// outside the contest use between two readings.
type meter struct {
	server, database int // process ids; 0 for none
	at               time.Time
	app, db, ours    time.Duration
	all              time.Duration
}

func startMeter(server, database int) *meter {
	m := &meter{server: server, database: database}
	m.read()
	return m
}

func (m *meter) read() {
	now := processes()
	m.at = time.Now()
	m.app, m.db = 0, 0
	if m.server != 0 {
		m.app, _ = tree(now, m.server)
	}
	if m.database != 0 {
		m.db, _ = tree(now, m.database)
	}
	self, _ := tree(now, os.Getpid())
	m.ours = self + m.db
	m.all, _ = busy()
}

// usage is what was used between two readings. Others is in cores.
type usage struct {
	app, db time.Duration
	others  float64
}

func (m *meter) since(start meter) usage {
	others := (m.all - start.all) - (m.ours - start.ours)
	return usage{
		app:    m.app - start.app,
		db:     m.db - start.db,
		others: max(0, others.Seconds()/m.at.Sub(start.at).Seconds()),
	}
}
