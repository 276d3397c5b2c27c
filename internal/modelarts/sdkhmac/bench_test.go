package sdkhmac

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkSign signs a stop call as the client does.
func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	key := Key{AccessKey: "AKEXAMPLE", SecretKey: "SKEXAMPLE"}
	const url = "https://modelarts.cn-north-4.myhuaweicloud.com/v1/0123456789abcdef0123456789abcdef/visualization-jobs/10/stop"
	req, err := http.NewRequest(http.MethodPost, url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Project-Id", "0123456789abcdef0123456789abcdef")
	signed := []string{"Host", "X-Project-Id"}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for b.Loop() {
		Sign(req, key, nil, signed, now)
	}
}
