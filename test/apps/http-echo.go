// http-echo: a net/http server that echoes bodies and serves patterns, and a client that checks every byte.
//
//	http-echo serve ADDR
//	http-echo drive URL REQUESTS CONCURRENT MAX_BYTES
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func pattern(seed, size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte((i*31 + i>>8 + seed*7) % 251)
	}
	return body
}

func serve(address string) {
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	http.HandleFunc("/bytes/", func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/bytes/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(pattern(0, size))
	})
	fmt.Println("listening")
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
	os.Exit(1)
}

func drive(url string, requests, concurrent, maxBytes int) int {
	client := &http.Client{
		Timeout:   8 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: concurrent, MaxConnsPerHost: concurrent},
	}
	var next, ok, failed, wrong, worst atomic.Int64
	var workers sync.WaitGroup
	for range concurrent {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := next.Add(1); number <= int64(requests); number = next.Add(1) {
				body := pattern(int(number), int(number*7919)%maxBytes+1)
				started := time.Now()
				response, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
				var got []byte
				if err == nil {
					got, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				took := time.Since(started).Milliseconds()
				if took > worst.Load() {
					worst.Store(took)
				}
				switch {
				case err != nil || response.StatusCode != http.StatusOK:
					failed.Add(1)
					fmt.Fprintf(os.Stderr, "request %d after %d ms: %v\n", number, took, err)
				case !bytes.Equal(got, body):
					wrong.Add(1)
				default:
					ok.Add(1)
				}
			}
		}()
	}
	workers.Wait()
	fmt.Printf("ok=%d failed=%d wrong=%d worst_ms=%d\n", ok.Load(), failed.Load(), wrong.Load(), worst.Load())
	if ok.Load() != int64(requests) {
		return 1
	}
	return 0
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 6 && os.Args[1] == "drive":
		os.Exit(drive(os.Args[2], number(os.Args[3]), number(os.Args[4]), number(os.Args[5])))
	default:
		fmt.Fprintln(os.Stderr, "usage: http-echo serve ADDR | drive URL REQUESTS CONCURRENT MAX_BYTES")
		os.Exit(2)
	}
}
