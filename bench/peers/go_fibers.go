// Go's goroutines: a switch (two that yield to each other), a life (go, run, wait for it).
package main

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
)

const switches, lives = 4000000, 400000

func cpuNs() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func yieldOften() {
	for i := 0; i < switches/2; i++ {
		runtime.Gosched()
	}
}

func main() {
	var group sync.WaitGroup
	group.Add(1)
	begin := cpuNs()
	go func() {
		yieldOften()
		group.Done()
	}()
	yieldOften()
	group.Wait()
	fmt.Printf("switch %.3f\n", (cpuNs()-begin)/switches)

	begin = cpuNs()
	for i := 0; i < lives; i++ {
		group.Add(1)
		go group.Done()
		group.Wait()
	}
	fmt.Printf("life %.3f\n", (cpuNs()-begin)/lives)
}
