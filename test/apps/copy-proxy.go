// copy-proxy: a layer-4 proxy as everybody writes it in Go: io.Copy between two TCP connections, which is splice(2).
//
//	copy-proxy LISTEN TARGET [SPLICE_FROM]
//
// Before connection number SPLICE_FROM the bytes are copied with read and write: what looked harmless for a thousand
// connections turns out to splice.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
)

// Hides ReadFrom and WriteTo, so that io.Copy reads and writes.
type readOnly struct{ io.Reader }
type writeOnly struct{ io.Writer }

func forward(to, from *net.TCPConn, splice bool, done chan<- struct{}) {
	if splice {
		io.Copy(to, from)
	} else {
		io.Copy(writeOnly{to}, readOnly{from})
	}
	to.CloseWrite()
	done <- struct{}{}
}

func handle(client *net.TCPConn, target string, splice bool) {
	defer client.Close()
	connection, err := net.Dial("tcp", target)
	if err != nil {
		log.Print(err)
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	go forward(server, client, splice, done)
	go forward(client, server, splice, done)
	<-done
	<-done
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: copy-proxy LISTEN TARGET [SPLICE_FROM]")
	}
	spliceFrom := 1
	if len(os.Args) > 3 {
		value, err := strconv.Atoi(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		spliceFrom = value
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening")
	for number := 1; ; number++ {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go handle(connection.(*net.TCPConn), os.Args[2], number >= spliceFrom)
	}
}
