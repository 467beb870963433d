// SPDX-License-Identifier: MIT

// The figures of bench/core in Go, under the same names: `go-core [-s SHARE] CASE`.
//
// As a Go programmer would write them: goroutines; buffered channels for queues; where weir settles each item and
// joins, a sync.WaitGroup counts them (Add before the send, Done after the receive, Wait at the end), and the _plain
// figures leave that out: what a channel alone does.  One thread (GOMAXPROCS=1), as weir.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

var share = flag.Int("s", 1, "divide the work by this")

func figure(name string, value float64, unit string) {
	decimals := 0
	if value < 1000 {
		decimals = 4
	}
	fmt.Printf("%s %.*f %s\n", name, decimals, value, unit)
}

func benchSwitch(name string, goroutines int) {
	each := 10000000 / *share / goroutines
	var wg sync.WaitGroup
	wg.Add(goroutines)
	start := time.Now()
	for g := 0; g < goroutines; g++ {
		go func() {
			for i := 0; i < each; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	figure(name, float64(time.Since(start).Nanoseconds())/float64(goroutines*each), "ns")
}

func benchQueue(name string, capacity, producers, consumers int, settle bool) {
	each := uint64(8000000 / *share / producers)
	queue := make(chan uint64, capacity)
	var items, makers, takers sync.WaitGroup
	var mutex sync.Mutex
	var sum uint64
	start := time.Now()
	takers.Add(consumers)
	for c := 0; c < consumers; c++ {
		go func() {
			var mine uint64
			for item := range queue {
				mine += item
				if settle {
					items.Done()
				}
			}
			mutex.Lock()
			sum += mine
			mutex.Unlock()
			takers.Done()
		}()
	}
	makers.Add(producers)
	for p := 0; p < producers; p++ {
		go func() {
			for i := uint64(0); i < each; i++ {
				if settle {
					items.Add(1)
				}
				queue <- i
			}
			makers.Done()
		}()
	}
	makers.Wait()
	items.Wait()
	if !settle {
		close(queue)
		takers.Wait()
	}
	took := time.Since(start)
	if settle {
		close(queue)
		takers.Wait()
	}
	if sum != uint64(producers)*(each*(each-1)/2) {
		panic("items were lost")
	}
	figure(name, float64(each)*float64(producers)/took.Seconds(), "items/s")
}

func benchSpawn() {
	const alive = 1000
	rounds := 5000 / *share
	var ran uint64
	start := time.Now()
	for r := 0; r < rounds; r++ {
		var wg sync.WaitGroup
		wg.Add(alive)
		for i := 0; i < alive; i++ {
			go func() {
				ran++ // one thread
				wg.Done()
			}()
		}
		wg.Wait()
	}
	took := time.Since(start)
	if ran != uint64(rounds*alive) {
		panic("goroutines did not run")
	}
	figure("spawn_per_s", float64(ran)/took.Seconds(), "fibers/s")
}

// A line of /proc/self/status, in bytes.
func statusBytes(key string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key+":") {
			var kib float64
			fmt.Sscan(line[len(key)+1:], &kib)
			return kib * 1024
		}
	}
	panic(key)
}

func benchBytes(name string, n int) {
	n /= *share
	debug.SetGCPercent(-1)
	before := statusBytes("VmRSS")
	asleep := 0
	for i := 0; i < n; i++ {
		go func() {
			asleep++ // one thread
			time.Sleep(time.Hour)
		}()
	}
	for asleep < n {
		time.Sleep(10 * time.Millisecond)
	}
	figure(name, (statusBytes("VmRSS")-before)/float64(n), "bytes")
}

func benchSleepers1m() {
	n := 1000000 / *share
	duration := 2 * time.Second / time.Duration(*share)
	var wg sync.WaitGroup
	var allAsleep time.Time
	var latest time.Duration
	asleep := 0
	start := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			due := time.Now().Add(duration)
			if asleep++; asleep == n {
				allAsleep = time.Now()
			}
			time.Sleep(duration)
			if late := time.Since(due); !allAsleep.IsZero() && !due.Before(allAsleep) && late > latest {
				latest = late
			}
			wg.Done()
		}()
	}
	wg.Wait()
	figure("sleepers_1m_wall_s", time.Since(start).Seconds(), "s")
	figure("sleepers_1m_late_ms", latest.Seconds()*1e3, "ms")
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func benchSleep500() {
	jobs := 20000 / *share
	permits := make(chan struct{}, 500)
	state := uint64(128)
	var wg sync.WaitGroup
	before := cpuSeconds()
	start := time.Now()
	wg.Add(jobs)
	for i := 0; i < jobs; i++ {
		state = state*6364136223846793005 + 1442695040888963407
		duration := 100*time.Millisecond + time.Duration((state>>32)*100000000>>32)
		permits <- struct{}{}
		go func() {
			time.Sleep(duration)
			<-permits
			wg.Done()
		}()
	}
	wg.Wait()
	figure("sleep500_wall_s", time.Since(start).Seconds(), "s")
	figure("sleep500_cpu_s", cpuSeconds()-before, "s")
	figure("sleep500_rss_bytes", statusBytes("VmHWM"), "bytes")
}

func main() {
	flag.Parse()
	runtime.GOMAXPROCS(1)
	queue := func(name string, capacity, producers, consumers int) {
		benchQueue(name+"_per_s", capacity, producers, consumers, true)
		benchQueue(name+"_plain_per_s", capacity, producers, consumers, false)
	}
	cases := map[string]func(){
		"switch_ns":          func() { benchSwitch("switch_ns", 2) },
		"switch_1000_ns":     func() { benchSwitch("switch_1000_ns", 1000) },
		"queue_1x1_per_s":    func() { queue("queue_1x1", 100, 1, 1) },
		"queue_cap1_per_s":   func() { queue("queue_cap1", 1, 1, 1) },
		"queue_4x50_per_s":   func() { queue("queue_4x50", 100, 4, 50) },
		"spawn_per_s":        benchSpawn,
		"sleeper_bytes_10k":  func() { benchBytes("sleeper_bytes_10k", 10000) },
		"sleeper_bytes_100k": func() { benchBytes("sleeper_bytes_100k", 100000) },
		"sleeper_bytes_1m":   func() { benchBytes("sleeper_bytes_1m", 1000000) },
		"sleepers_1m":        benchSleepers1m,
		"sleep500":           benchSleep500,
	}
	cases[flag.Arg(0)]()
}
