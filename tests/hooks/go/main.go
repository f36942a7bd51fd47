// grpc-go, the client that virt-launcher has, against the gRPC server of hooks.
//
//	main SOCKET SCENARIO
//
// Exits with 1 and says why where an answer is not what grpc-go's own server would give. SOCKET is
// served by tests/hooks/test_grpc_go.py.
package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// octets hands messages over as they are.
type octets struct{}

func (octets) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (octets) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (octets) Name() string { return "octets" }

var socket string

// dial connects as virt-launcher does: 2 s until the server's SETTINGS have come.
func dial(options ...grpc.DialOption) *grpc.ClientConn {
	ctx, cancel := context.WithTimeout(context.Background(), slow(2*time.Second))
	defer cancel()
	options = append(options, grpc.WithInsecure(), grpc.WithBlock(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(octets{}), grpc.MaxCallRecvMsgSize(1<<30)),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}))
	conn, err := grpc.DialContext(ctx, "passthrough:///"+socket, options...)
	check(err == nil, "dial: %v", err)
	return conn
}

// slow stretches a limit for machines that do other work, too.
func slow(limit time.Duration) time.Duration { return 10 * limit }

func call(conn *grpc.ClientConn, limit time.Duration, method string, message []byte, options ...grpc.CallOption) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var answer []byte
	err := conn.Invoke(ctx, "/a.B/"+method, &message, &answer, options...)
	return answer, err
}

func check(holds bool, format string, a ...interface{}) {
	if !holds {
		fmt.Fprintf(os.Stderr, format+"\n", a...)
		os.Exit(1)
	}
}

func echoes(conn *grpc.ClientConn, message []byte, options ...grpc.CallOption) {
	answer, err := call(conn, slow(10*time.Second), "Echo", message, options...)
	check(err == nil, "%d octets: %v", len(message), err)
	check(bytes.Equal(answer, message), "%d octets came back as %d others", len(message), len(answer))
}

func isRefused(code codes.Code, method string, message []byte, options ...grpc.CallOption) string {
	conn := dial()
	defer conn.Close()
	_, err := call(conn, slow(10*time.Second), method, message, options...)
	check(status.Code(err) == code, "%s: %v, not %v", method, err, code)
	echoes(conn, []byte("and on it goes"))
	return status.Convert(err).Message()
}

func random(size int) []byte {
	message := make([]byte, size)
	rand.Read(message)
	return message
}

var scenarios = map[string]func(){
	"dials": func() {
		for i := 0; i < 1000; i++ {
			conn := dial()
			echoes(conn, random(i))
			check(conn.Close() == nil, "close")
		}
	},
	"calls": func() {
		conn := dial()
		for i := 0; i < 2000; i++ {
			echoes(conn, random(i))
		}
	},
	"crowd": func() {
		var all sync.WaitGroup
		for i := 0; i < 64; i++ {
			all.Add(1)
			go func() {
				conn := dial()
				var mine sync.WaitGroup
				for j := 0; j < 32; j++ { // 16 at a time are served, the others wait
					mine.Add(1)
					go func(size int) {
						_, err := call(conn, slow(30*time.Second), "Late", random(size))
						check(err == nil, "late: %v", err)
						echoes(conn, random(size))
						mine.Done()
					}(j * 1000)
				}
				mine.Wait()
				conn.Close()
				all.Done()
			}()
		}
		all.Wait()
	},
	"sizes": func() {
		for _, options := range [][]grpc.DialOption{
			{},
			{grpc.WithInitialWindowSize(65536), grpc.WithInitialConnWindowSize(65536)},
			{grpc.WithInitialWindowSize(1 << 30), grpc.WithInitialConnWindowSize(1 << 30)},
			{grpc.WithReadBufferSize(0), grpc.WithWriteBufferSize(0)},
		} {
			conn := dial(options...)
			for _, size := range []int{0, 1, 16379, 16384, 65535, 65536, 1 << 20, 2 << 20, 3900000, 4<<20 - 5} {
				echoes(conn, random(size))
			}
			conn.Close()
		}
		isRefused(codes.ResourceExhausted, "Echo", random(4<<20))
		isRefused(codes.ResourceExhausted, "Echo", random(40000000))
	},
	"deadlines": func() {
		conn := dial()
		for i := 0; i < 40; i++ {
			_, err := call(conn, 20*time.Millisecond, "Late", random(1000))
			check(status.Code(err) == codes.DeadlineExceeded, "late: %v", err)
			if i%8 == 7 { // of 16 at a time, those that nobody waits for any more count
				echoes(conn, random(100000))
				time.Sleep(400 * time.Millisecond)
			}
		}
	},
	"cancels": func() {
		conn := dial()
		for i := 0; i < 300; i++ {
			method := []string{"Echo", "Late"}[i%10/9]
			_, err := call(conn, time.Duration(rand.Intn(4000))*time.Microsecond, method, random(rand.Intn(500000)))
			code := status.Code(err)
			check(code == codes.OK || code == codes.DeadlineExceeded, "cancelled: %v", err)
		}
		time.Sleep(time.Second)
		for i := 0; i < 50; i++ {
			echoes(conn, random(100000))
		}
	},
	"metadata": func() {
		conn := dial(grpc.WithUserAgent("virt-launcher „ä“"))
		for _, size := range []int{1, 100, 1000, 4000, 16000} {
			pairs := []string{"x-long", strings.Repeat("a~\"", size/3), "x-bin", string(random(100))}
			for i := 0; i < 100; i++ {
				pairs = append(pairs, fmt.Sprintf("x-%d", i%50), fmt.Sprint(i))
			}
			for i := 0; i < 3; i++ {
				ctx := metadata.NewOutgoingContext(context.Background(), metadata.Pairs(pairs...))
				message, answer := random(1000), []byte{}
				err := conn.Invoke(ctx, "/a.B/Echo", &message, &answer)
				check(err == nil && bytes.Equal(message, answer), "metadata of %d: %v", size, err)
			}
		}
	},
	"refusals": func() {
		for _, text := range []string{"", "100 % „grün“\n", strings.Repeat("long ", 700)} {
			said := isRefused(codes.InvalidArgument, "No", []byte(text))
			check(said == text, "%q came as %q", text, said)
		}
		for _, text := range []string{strings.Repeat("long ", 7000), "x" + strings.Repeat("ü", 7000)} {
			said := isRefused(codes.InvalidArgument, "No", []byte(text))
			check(len(said) > 1000 && strings.HasPrefix(text, said), "cut to %q", said)
		}
		isRefused(codes.Internal, "Bug", random(10))
		isRefused(codes.Unimplemented, "Nothing", random(100000))
		isRefused(codes.Unimplemented, "Echo", random(1000), grpc.UseCompressor(gzip.Name))
	},
	"streams": func() {
		conn := dial()
		for _, count := range []int{0, 2} { // messages of a call that has one
			description := grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
			stream, err := conn.NewStream(context.Background(), &description, "/a.B/Echo")
			check(err == nil, "stream: %v", err)
			for i := 0; i < count; i++ {
				message := random(10)
				check(stream.SendMsg(&message) == nil, "send")
			}
			stream.CloseSend()
			var answer []byte
			err = stream.RecvMsg(&answer)
			check(status.Code(err) == codes.Internal, "%d messages: %v", count, err)
		}
		echoes(conn, random(10))
	},
}

func main() {
	socket = os.Args[1]
	scenario, known := scenarios[os.Args[2]]
	check(known, "no scenario %s", os.Args[2])
	scenario()
}
