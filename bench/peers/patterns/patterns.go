// SPDX-License-Identifier: MIT

// The patterns of `weir bench` with goroutines: patterns PATTERN URL JOBS CONCURRENCY PER_SEC, against URL/1 to URL/JOBS.
// One processor, as the others have one loop.  What is printed is explained in app/bench/peers.c.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type result struct {
	began, ended time.Duration
	cause        string
}

var (
	url     string
	jobs    int
	atOnce  int
	perSec  float64
	client  *http.Client
	results []result
	start   time.Time
)

func memory(key string) int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key) {
			kib, _ := strconv.Atoi(strings.Fields(line)[1])
			return kib * 1024
		}
	}
	return 0
}

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func causeOf(err error) string {
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connect"
	default:
		return "reset"
	}
}

func get(index int) string {
	response, err := client.Get(url + "/" + strconv.Itoa(index+1))
	if err != nil {
		return causeOf(err)
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		return causeOf(err)
	}
	if response.StatusCode >= 500 {
		return "server"
	}
	if response.StatusCode >= 400 {
		return "client"
	}
	return "ok"
}

func fetch(index int) {
	began := time.Since(start)
	cause := get(index)
	results[index] = result{began, time.Since(start), cause}
}

func runQueue() {
	waiting := make(chan int, 4*atOnce)
	var workers sync.WaitGroup
	for i := 0; i < atOnce; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for index := range waiting {
				fetch(index)
			}
		}()
	}
	for index := 0; index < jobs; index++ {
		waiting <- index
	}
	close(waiting)
	workers.Wait()
}

func runSemaphore() {
	permits := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for index := 0; index < jobs; index++ {
		all.Add(1)
		go func(index int) {
			defer all.Done()
			permits <- struct{}{}
			fetch(index)
			<-permits
		}(index)
	}
	all.Wait()
}

func runRate() {
	permits := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for index := 0; index < jobs; index++ {
		permits <- struct{}{}
		time.Sleep(time.Duration(float64(index)/perSec*1e9) - time.Since(start))
		all.Add(1)
		go func(index int) {
			defer all.Done()
			fetch(index)
			<-permits
		}(index)
	}
	all.Wait()
}

func runTogether(first, end int) {
	var all sync.WaitGroup
	for index := first; index < end; index++ {
		all.Add(1)
		go func(index int) {
			defer all.Done()
			fetch(index)
		}(index)
	}
	all.Wait()
}

func runChunked() {
	for first := 0; first < jobs; first += atOnce {
		end := first + atOnce
		if end > jobs {
			end = jobs
		}
		runTogether(first, end)
	}
}

func main() {
	patterns := map[string]func(){"queue": runQueue, "semaphore": runSemaphore, "rate": runRate,
		"chunked": runChunked, "naive": func() { runTogether(0, jobs) }}
	run := patterns[os.Args[1]]
	url = os.Args[2]
	jobs, _ = strconv.Atoi(os.Args[3])
	atOnce, _ = strconv.Atoi(os.Args[4])
	perSec, _ = strconv.ParseFloat(os.Args[5], 64)
	runtime.GOMAXPROCS(1)
	client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		MaxConnsPerHost: atOnce, MaxIdleConns: atOnce, MaxIdleConnsPerHost: atOnce}}
	results = make([]result, jobs)
	for i := range results { // all pages of what is counted in here
		results[i].cause = "other"
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintf(out, "with net/http of %s\n", runtime.Version())
	idle, before := memory("VmRSS"), cpu()
	start = time.Now()
	run()
	took := time.Since(start)
	fmt.Fprintf(out, "figures %.6f %d %d %.6f\n", took.Seconds(), idle, memory("VmHWM"), cpu()-before)
	out.Flush() // by this it is known from outside when the run ended
	for index, r := range results {
		fmt.Fprintf(out, "job %d %.6f %.6f %s\n", index, r.began.Seconds(), r.ended.Seconds(), r.cause)
	}
}
