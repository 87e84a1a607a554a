// Goserver is an OpAMP server on the server package of opamp-go, steered by JSON lines: a command on standard input, an event on
// standard output. It remembers what a server has to (each agent's last number, the offer that agent confirmed) and asks for the
// full state when it lacks something. It ends with its standard input.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/open-telemetry/opamp-go/protobufs"
	"github.com/open-telemetry/opamp-go/server"
	"github.com/open-telemetry/opamp-go/server/types"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const capabilities = uint64(protobufs.ServerCapabilities_ServerCapabilities_AcceptsStatus |
	protobufs.ServerCapabilities_ServerCapabilities_OffersRemoteConfig |
	protobufs.ServerCapabilities_ServerCapabilities_AcceptsEffectiveConfig |
	protobufs.ServerCapabilities_ServerCapabilities_OffersConnectionSettings)

// A command of the test; `message` is a ServerToAgent in protobuf's JSON.
type command struct {
	Do      string            // offer, next, push, refuse, drop
	Message json.RawMessage   // offer, next, push
	Status  int               // refuse
	Headers map[string]string // refuse
	Times   int               // refuse
}

type event map[string]any

// What is remembered of an agent: its last sequence number, and the hash of the last configuration that it had a word on.
type known struct {
	number uint64
	hash   string
}

type memory struct {
	mutex       sync.Mutex
	out         *json.Encoder
	agents      map[string]*known // by uid
	offer       *protobufs.AgentRemoteConfig
	next        []*protobufs.ServerToAgent
	refusal     command
	sockets     map[types.Connection]int
	connections int
}

func (m *memory) tell(e event) {
	if err := m.out.Encode(e); err != nil {
		os.Exit(0) // nobody listens any more
	}
}

func transport(request *http.Request) string {
	if request.Header.Get("Upgrade") != "" {
		return "ws"
	}
	return "http"
}

func (m *memory) onConnecting(request *http.Request) types.ConnectionResponse {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	e := event{"event": "connecting", "transport": transport(request), "headers": request.Header}
	if request.TLS != nil {
		names := []string{}
		for _, certificate := range request.TLS.PeerCertificates {
			names = append(names, certificate.Subject.String())
		}
		e["tls"], e["client_certificates"] = tls.VersionName(request.TLS.Version), names
	}
	if m.refusal.Times > 0 {
		m.refusal.Times--
		e["refused"] = m.refusal.Status
		m.tell(e)
		return types.ConnectionResponse{HTTPStatusCode: m.refusal.Status, HTTPResponseHeader: m.refusal.Headers}
	}
	m.connections++
	id := m.connections
	e["connection"] = id
	m.tell(e)
	return types.ConnectionResponse{Accept: true, ConnectionCallbacks: m.callbacks(id, transport(request))}
}

func (m *memory) callbacks(id int, transport string) types.ConnectionCallbacks {
	return types.ConnectionCallbacks{
		OnConnected: func(_ context.Context, connection types.Connection) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			if transport == "ws" {
				m.sockets[connection] = id
			}
		},
		OnMessage: func(_ context.Context, _ types.Connection, message *protobufs.AgentToServer) *protobufs.ServerToAgent {
			return m.onMessage(id, message)
		},
		OnConnectionClose: func(connection types.Connection) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			delete(m.sockets, connection)
			m.tell(event{"event": "closed", "transport": transport, "connection": id})
		},
		OnReadMessageError: func(_ types.Connection, _ int, _ []byte, err error) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			m.tell(event{"event": "read_error", "connection": id, "text": err.Error()})
		},
	}
}

func (m *memory) onMessage(id int, message *protobufs.AgentToServer) *protobufs.ServerToAgent {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	text, err := protojson.MarshalOptions{UseProtoNames: true, UseEnumNumbers: true}.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	answer := &protobufs.ServerToAgent{InstanceUid: message.InstanceUid, Capabilities: capabilities}
	uid := string(message.InstanceUid)
	agent, isKnown := m.agents[uid]
	if !isKnown {
		agent = &known{}
		m.agents[uid] = agent
	}
	hasGap := isKnown && message.SequenceNum != agent.number+1
	agent.number = message.SequenceNum
	if hasGap || !isKnown && message.AgentDescription == nil {
		answer.Flags = uint64(protobufs.ServerToAgentFlags_ServerToAgentFlags_ReportFullState)
	}
	if message.RemoteConfigStatus != nil {
		agent.hash = string(message.RemoteConfigStatus.LastRemoteConfigHash)
	}
	if m.offer != nil && answer.Flags == 0 && agent.hash != string(m.offer.ConfigHash) {
		answer.RemoteConfig = m.offer
	}
	if len(m.next) > 0 {
		proto.Merge(answer, m.next[0])
		m.next = m.next[1:]
	}
	m.rename(uid, answer)
	m.tell(event{"event": "message", "connection": id, "gap": hasGap, "asked_full": answer.Flags != 0, "message": json.RawMessage(text)})
	if message.AgentDisconnect != nil {
		delete(m.agents, uid)
	}
	return answer
}

// An agent is remembered under the uid that it gets.
func (m *memory) rename(uid string, said *protobufs.ServerToAgent) {
	if assigned := said.AgentIdentification.GetNewInstanceUid(); len(assigned) != 0 {
		m.agents[string(assigned)] = m.agents[uid]
	}
}

func (m *memory) obey(c command) {
	message := &protobufs.ServerToAgent{}
	if len(c.Message) > 0 {
		if err := protojson.Unmarshal(c.Message, message); err != nil {
			log.Fatal(err)
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	done := event{"event": "done", "do": c.Do}
	switch c.Do {
	case "offer": // in the first answer to each agent that has not confirmed it
		m.offer = message.RemoteConfig
	case "next":
		m.next = append(m.next, message)
	case "push":
		if message.RemoteConfig != nil {
			m.offer = message.RemoteConfig
		}
		sent := 0
		for socket := range m.sockets {
			if socket.Send(context.Background(), message) == nil { // else it is about to be closed
				sent++
			}
		}
		done["sockets"] = sent
	case "refuse":
		m.refusal = c
	case "drop":
		done["sockets"] = len(m.sockets)
		for socket := range m.sockets {
			_ = socket.Connection().Close()
		}
	default:
		log.Fatalf("no such command: %q", c.Do)
	}
	m.tell(done)
}

func tlsConfig(certificate, key, clientAuthority string) (*tls.Config, error) {
	if certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if clientAuthority != "" {
		pem, err := os.ReadFile(clientAuthority)
		if err != nil {
			return nil, err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", clientAuthority)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", "127.0.0.1:0", "address")
	certificate := flag.String("certificate", "", "PEM; with it the server speaks TLS")
	key := flag.String("key", "", "its key")
	clientAuthority := flag.String("client-authority", "", "PEM; a client must show a certificate that comes from it")
	flag.Parse()
	config, err := tlsConfig(*certificate, *key, *clientAuthority)
	if err != nil {
		log.Fatal(err)
	}
	m := &memory{out: json.NewEncoder(os.Stdout), agents: map[string]*known{}, sockets: map[types.Connection]int{}}
	opamp := server.New(nil)
	err = opamp.Start(server.StartSettings{
		Settings:       server.Settings{Callbacks: types.Callbacks{OnConnecting: m.onConnecting}, EnableCompression: true},
		ListenEndpoint: *listen,
		TLSConfig:      config,
	})
	if err != nil {
		log.Fatal(err)
	}
	m.tell(event{"event": "ready", "address": opamp.Addr().String()})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			log.Fatal(err)
		}
		m.obey(c)
	}
}
