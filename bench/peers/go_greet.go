// Greets with Go's net package.
package main

import (
	"fmt"
	"log"
	"net"
)

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
		go func() {
			client.Write([]byte("salut\n"))
			client.Close()
		}()
	}
}
