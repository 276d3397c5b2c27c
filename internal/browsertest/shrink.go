package browsertest

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/bits"
	"slices"
)

// screenshotColours are enough for text with its soft edges, and for charts.
const screenshotColours = 64

// Shrink makes a PNG smaller: it keeps at most the given number of colours, 2 to 256, those that are closest to the
// original's. It is exact for an image that has no more. What is transparent becomes opaque on black.
func Shrink(original []byte, colours int) ([]byte, error) {
	if colours < 2 || colours > 256 {
		return nil, fmt.Errorf("shrink to %d colours: a palette has 2 to 256", colours)
	}
	img, err := png.Decode(bytes.NewReader(original))
	if err != nil {
		return nil, err
	}
	b := img.Bounds()
	pixels := make([]rgb, 0, b.Dx()*b.Dy())
	count := make(map[rgb]int)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			c := rgb{uint8(r >> 8), uint8(g >> 8), uint8(bl >> 8)}
			pixels = append(pixels, c)
			count[c]++
		}
	}
	palette, index := quantize(count, colours)
	small := image.NewPaletted(image.Rect(0, 0, b.Dx(), b.Dy()), palette)
	for i, c := range pixels {
		small.Pix[i] = index[c]
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}

type rgb [3]uint8

// box is a part of the colours of an image.
type box struct {
	colours []rgb
	// channel is the one in which the colours are spread the most, and spread how much that hurts: their width, the
	// more the more pixels there are. It is 0 for one colour.
	channel, spread int
}

// quantize divides the colours of an image, with how often each occurs, by median cut: the box whose colours are spread
// the most is cut in two, until there are enough. It returns a colour for each box, and the box of each colour.
func quantize(count map[rgb]int, most int) (color.Palette, map[rgb]uint8) {
	all := make([]rgb, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b rgb) int { return slices.Compare(a[:], b[:]) }) // the same image, the same bytes
	boxes := []box{newBox(all, count)}
	for len(boxes) < most {
		widest := 0
		for i, b := range boxes {
			if b.spread > boxes[widest].spread {
				widest = i
			}
		}
		if boxes[widest].spread == 0 {
			break
		}
		low, high := boxes[widest].cut()
		boxes[widest] = newBox(low, count)
		boxes = append(boxes, newBox(high, count))
	}
	palette := make(color.Palette, len(boxes))
	index := make(map[rgb]uint8, len(count))
	for i, b := range boxes {
		c := b.most(count)
		palette[i] = color.RGBA{c[0], c[1], c[2], 0xff}
		for _, c := range b.colours {
			index[c] = uint8(i)
		}
	}
	return palette, index
}

func newBox(colours []rgb, count map[rgb]int) box {
	b := box{colours: colours}
	pixels := 0
	low, high := colours[0], colours[0]
	for _, c := range colours {
		pixels += count[c]
		for i := range c {
			low[i], high[i] = min(low[i], c[i]), max(high[i], c[i])
		}
	}
	width := 0
	for i := range low {
		if w := int(high[i]) - int(low[i]); w > width {
			b.channel, width = i, w
		}
	}
	b.spread = width * width * (1 + bits.Len(uint(pixels))) // a large plain area should not take all the colours
	return b
}

// cut divides the colours in the middle of their range.
func (b box) cut() (low, high []rgb) {
	slices.SortStableFunc(b.colours, func(x, y rgb) int { return cmp.Compare(x[b.channel], y[b.channel]) })
	first, last := b.colours[0], b.colours[len(b.colours)-1]
	middle := (int(first[b.channel]) + int(last[b.channel])) / 2
	at, _ := slices.BinarySearchFunc(b.colours, middle+1, func(c rgb, m int) int { return cmp.Compare(int(c[b.channel]), m) })
	return b.colours[:at], b.colours[at:]
}

// most is the colour that most pixels have: a background stays what it is.
func (b box) most(count map[rgb]int) rgb {
	best := b.colours[0]
	for _, c := range b.colours {
		if count[c] > count[best] {
			best = c
		}
	}
	return best
}
