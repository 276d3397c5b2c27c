package browsertest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

func encode(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fade goes from one colour to another, from left to right, on a background.
func fade(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.RGBA{0xfa, 0xfa, 0xf7, 0xff}
			if y >= height/2 {
				c = color.RGBA{uint8(x % 256), uint8(y % 256), 0x80, 0xff}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func TestShrink(t *testing.T) {
	original := encode(t, fade(512, 256))
	small, err := Shrink(original, 64)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	paletted, ok := img.(*image.Paletted)
	if !ok || len(paletted.Palette) > 64 || img.Bounds() != image.Rect(0, 0, 512, 256) {
		t.Fatalf("got %T of %v", img, img.Bounds())
	}
	want := fade(512, 256)
	worst := 0
	for y := range 256 {
		for x := range 512 {
			a, b := want.RGBAAt(x, y), color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			worst = max(worst, difference(a.R, b.R), difference(a.G, b.G), difference(a.B, b.B))
			if y < 128 && a != b {
				t.Fatalf("the background is %v, want %v", b, a)
			}
		}
	}
	if worst > 64 {
		t.Errorf("a colour is off by %d", worst)
	}
	again, err := Shrink(original, 64)
	if err != nil || !bytes.Equal(small, again) {
		t.Errorf("the second time it is other bytes (%v)", err)
	}
}

func difference(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }

func TestShrinkKeepsFewColours(t *testing.T) {
	img := image.NewRGBA(image.Rect(3, 5, 40, 20)) // need not begin at 0
	for y := 5; y < 20; y++ {
		for x := 3; x < 40; x++ {
			img.SetRGBA(x, y, color.RGBA{uint8(x%4) * 3, uint8(y % 4), 200, 0xff})
		}
	}
	small, err := Shrink(encode(t, img), 16)
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	for y := range 15 {
		for x := range 37 {
			if a, b := img.RGBAAt(x+3, y+5), color.RGBAModel.Convert(got.At(x, y)); a != b {
				t.Fatalf("at %d, %d it is %v, want %v", x, y, b, a)
			}
		}
	}
}

func TestShrinkRefuses(t *testing.T) {
	original := encode(t, fade(4, 4))
	for _, colours := range []int{0, 1, 257} {
		if _, err := Shrink(original, colours); err == nil {
			t.Errorf("%d colours are accepted", colours)
		}
	}
	if _, err := Shrink([]byte("no picture"), 16); err == nil {
		t.Error("what is no PNG is accepted")
	}
}
