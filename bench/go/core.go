// SPDX-License-Identifier: MIT

// The figures of bench/bench_core.c in Go, as a Go programmer would write them: buffered channels of 100 for queues;
// where weir settles each item and joins, a sync.WaitGroup counts them (Add before the send, Done after the receive,
// Wait at the end).  The _plain figures leave that out: what a channel alone does.  One thread (GOMAXPROCS=1), as weir.
// Each line is one run: "go.NAME VALUE UNIT"; arguments pick figures, -s divides the work.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

var share = flag.Int("s", 1, "divide the work by this")

func benchSwitch() float64 {
	each := 5000000 / *share
	var wg sync.WaitGroup
	wg.Add(2)
	start := time.Now()
	for g := 0; g < 2; g++ {
		go func() {
			for i := 0; i < each; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return float64(time.Since(start).Nanoseconds()) / float64(2*each)
}

func benchQueue(producers, consumers int, settle bool) float64 {
	each := uint64(8000000 / *share / producers)
	queue := make(chan uint64, 100)
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
	return float64(each) * float64(producers) / took.Seconds()
}

func benchSpawn() float64 {
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
	return float64(ran) / took.Seconds()
}

func residentBytes() float64 {
	var pages, resident float64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	fmt.Sscan(string(text), &pages, &resident)
	return resident * float64(os.Getpagesize())
}

func benchSleepers(n int) float64 {
	debug.SetGCPercent(-1)
	before := residentBytes()
	for i := 0; i < n; i++ {
		go time.Sleep(time.Hour)
	}
	time.Sleep(50 * time.Millisecond)
	return (residentBytes() - before) / float64(n)
}

func main() {
	flag.Parse()
	runtime.GOMAXPROCS(1)
	figures := []struct {
		name, unit string
		decimals   int
		measure    func() float64
	}{
		{"switch_ns", "ns", 2, benchSwitch},
		{"queue_1x1_per_s", "items/s", 0, func() float64 { return benchQueue(1, 1, true) }},
		{"queue_1x1_plain_per_s", "items/s", 0, func() float64 { return benchQueue(1, 1, false) }},
		{"queue_4x50_per_s", "items/s", 0, func() float64 { return benchQueue(4, 50, true) }},
		{"queue_4x50_plain_per_s", "items/s", 0, func() float64 { return benchQueue(4, 50, false) }},
		{"spawn_per_s", "fibers/s", 0, benchSpawn},
		{"sleeper_bytes_10k", "bytes", 0, func() float64 { return benchSleepers(10000) }},
		{"sleeper_bytes_100k", "bytes", 0, func() float64 { return benchSleepers(100000) }},
	}
	wanted := " " + strings.Join(flag.Args(), " ") + " "
	for _, figure := range figures {
		if flag.NArg() == 0 || strings.Contains(wanted, " "+figure.name+" ") {
			fmt.Printf("go.%s %.*f %s\n", figure.name, figure.decimals, figure.measure(), figure.unit)
		}
	}
}
