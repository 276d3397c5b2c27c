package redisconn

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestClientOptions(t *testing.T) {
	t.Parallel()
	client := mustParse(t, "rediss://u:p@h:1/2?pool_size=7").Client().(*redis.Client)
	defer client.Close()
	got := client.Options()
	if got.Addr != "h:1" || got.DB != 2 || got.Username != "u" || got.Password != "p" || got.PoolSize != 7 {
		t.Errorf("address %s, database %d, user %s, pool %d", got.Addr, got.DB, got.Username, got.PoolSize)
	}
	if got.ClientName != "vizstop" || !got.ContextTimeoutEnabled {
		t.Errorf("name %q, honours contexts %t", got.ClientName, got.ContextTimeoutEnabled)
	}
	if got.DialTimeout != 5*time.Second || got.ReadTimeout != 3*time.Second || got.WriteTimeout != 3*time.Second || got.PoolTimeout != 4*time.Second {
		t.Errorf("timeouts %v %v %v %v", got.DialTimeout, got.ReadTimeout, got.WriteTimeout, got.PoolTimeout)
	}
	if got.TLSConfig == nil || got.TLSConfig.MinVersion != tls.VersionTLS12 || got.TLSConfig.InsecureSkipVerify {
		t.Errorf("TLS %+v", got.TLSConfig)
	}
}

func TestClientOfClusterAndSentinels(t *testing.T) {
	t.Parallel()
	nodes, ok := mustParse(t, "redis-cluster://u:p@h1").Client().(*redis.ClusterClient)
	if !ok {
		t.Fatal("one cluster host does not make a cluster client")
	}
	defer nodes.Close()
	if got := nodes.Options(); len(got.Addrs) != 1 || got.Password != "p" || got.ClientName != "vizstop" || got.TLSConfig != nil {
		t.Errorf("cluster of %v, name %q", got.Addrs, got.ClientName)
	}

	// A failover client does not tell its Sentinels, so look at what it is made of.
	got := mustParse(t, "redis-sentinel://u:p@h1,h2/3?master=m&sentinel_user=su&sentinel_password=sp").universal().Failover()
	if len(got.SentinelAddrs) != 2 || got.MasterName != "m" || got.DB != 3 || got.Username != "u" || got.Password != "p" ||
		got.SentinelUsername != "su" || got.SentinelPassword != "sp" {
		t.Errorf("Sentinels %v, master %s, database %d", got.SentinelAddrs, got.MasterName, got.DB)
	}
}
