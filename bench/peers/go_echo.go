// Echo with Go's net package: a goroutine for each client.
package main

import (
	"fmt"
	"log"
	"net"
)

func handle(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, 1024)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		go handle(client)
	}
}
