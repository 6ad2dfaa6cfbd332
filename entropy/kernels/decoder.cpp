#include <algorithm>
#include <cstring>
#include <string>

#include "coder.hpp"

namespace tessera {
namespace {

// Walks the header; every read is checked against the end.
class Header {
public:
    Header(const uint8_t* data, size_t size) : data_(data), left_(size) {}

    size_t left() const { return left_; }

    const uint8_t* take(size_t bytes) {
        if (bytes > left_) throw CorruptStream("the stream ends inside its header");
        const uint8_t* taken = data_;
        data_ += bytes;
        left_ -= bytes;
        return taken;
    }

    uint32_t number(unsigned bytes) {
        const uint8_t* taken = take(bytes);
        uint32_t value = 0;
        for (unsigned i = 0; i < bytes; ++i) value |= uint32_t{taken[i]} << 8 * i;
        return value;
    }

    uint64_t length() {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 63; shift += 7) {
            const uint32_t byte = number(1);
            value |= uint64_t{byte & 0x7f} << shift;
            if (byte < 0x80) {
                if (byte == 0) break;  // empty sections are not written, nor are needless zeros
                return value;
            }
        }
        throw CorruptStream("the length of the bypass section is malformed");
    }

private:
    const uint8_t* data_;
    size_t left_;
};

// Places of -128 in bytes[0..n), in order.
size_t find_escapes(const int32_t* bytes, size_t n, uint16_t* places) {
    constexpr size_t group = 64;  // most groups hold no escape and are passed over whole, with vector compares
    size_t found = 0;
    for (size_t first = 0; first < n; first += group) {
        const size_t last = std::min(n, first + group);
        uint32_t any = 0;
        for (size_t i = first; i < last; ++i) any |= bytes[i] == -128;
        for (size_t i = first; any != 0 && i < last; ++i) {
            if (bytes[i] == -128) places[found++] = static_cast<uint16_t>(i);
        }
    }
    return found;
}

}  // namespace

Decoder::Decoder(std::shared_ptr<const Tables> tables, const uint8_t* data, size_t size, const Kernels& kernels)
    : tables_(std::move(tables)), kernels_(&kernels) {
    Header header(data, size);
    const uint32_t first = header.number(1);
    const unsigned state_bytes = first >> 4;
    lanes_ = 1u << (first & 7);
    if (lanes_ > kMaxLanes || state_bytes > (lanes_ == 1 ? 4u : 0u)) {
        throw CorruptStream("the first byte of the stream is " + std::to_string(first));
    }
    const uint64_t bypass = first & 8 ? header.length() : 0;
    for (unsigned lane = 0; lane < lanes_; ++lane) {
        const uint32_t state = header.number(lanes_ == 1 ? state_bytes : 4);
        const bool shortest = lanes_ > 1 || state_bytes == 0 || state >> 8 * (state_bytes - 1) != 0;
        states_[lane] = lanes_ == 1 ? state + kLowest : state;
        if (states_[lane] < kLowest || !shortest) throw CorruptStream("a lane starts outside its range");
    }
    if (bypass > header.left()) throw CorruptStream("the bypass section is longer than the stream");
    const size_t bytes = header.left() - static_cast<size_t>(bypass);
    if (bytes % 2 != 0) throw CorruptStream("the words of the stream end with half a word");
    words_.assign(bytes / 2 + kReadPadding, 0);
    const uint8_t* source = header.take(bytes);
    for (size_t i = 0; i < bytes / 2; ++i) words_[i] = static_cast<uint16_t>(source[2 * i] | source[2 * i + 1] << 8);
    reader_ = {words_.data(), words_.data() + bytes / 2};
    const uint8_t* rest = header.take(static_cast<size_t>(bypass));
    bits_.assign(rest, rest + bypass);
    bypass_ = BitReader(bits_.data(), bits_.size());
}

void Decoder::get(const uint8_t* indices, size_t n, int32_t* out) {
    if (failed_) throw CorruptStream("the stream has failed before");
    const int32_t largest = largest_index(indices, n);
    if (largest >= static_cast<int32_t>(tables_->count())) {
        throw std::invalid_argument("index " + std::to_string(largest) + " has no table: there are " +
                                    std::to_string(tables_->count()));
    }
    for (size_t first = 0; first < n; first += kBlock) {
        get_block(indices + first, std::min(kBlock, n - first), out + first);
        if (reader_.next > reader_.end || bypass_.failed()) {
            failed_ = true;
            throw CorruptStream("the stream ends before its symbols do");
        }
    }
}

void Decoder::get_block(const uint8_t* indices, size_t n, int32_t* out) {
    unsigned lanes = lanes_;
    while (lanes > n && lanes > 1) lanes /= 2;  // of a short call: the first ones
    const size_t steps = n / lanes;
    const size_t done = steps * lanes;
    int32_t smallest = kernels_->decode(*tables_, states_, lanes, indices, steps, out, reader_);
    if (reader_.next > reader_.end) return;  // nothing beyond this step may be read
    for (size_t i = done; i < n; ++i) {
        out[i] = decode_one(tables_->decoding(), states_[i % lanes_], indices[i], reader_);
        smallest = std::min(smallest, out[i]);
    }
    uint16_t escapes[kBlock];
    const size_t found = smallest == -128 ? find_escapes(out, n, escapes) : 0;
    if (!tables_->narrow()) {
        // modulo 2^32, because the byte of an escape may lead outside
        for (size_t i = 0; i < n; ++i) {
            out[i] = static_cast<int32_t>(static_cast<uint32_t>(tables_->base(indices[i]) + out[i]));
        }
    }
    for (size_t i = 0; i < found; ++i) out[escapes[i]] = read_rest(indices[escapes[i]]);
}

int32_t Decoder::read_rest(size_t table) {
    Rest rest{};
    rest.above = bypass_.get(1) != 0;
    rest.distance = bypass_.get_golomb();
    const int64_t value = tables_->value(table, rest);
    if (value < INT32_MIN || value > INT32_MAX) {
        bypass_.fail();
        return 0;
    }
    return static_cast<int32_t>(value);
}

void Decoder::finish() const {
    if (failed_) throw CorruptStream("the stream ends before its symbols do");
    bool ended = reader_.next == reader_.end && (bits_.empty() || bypass_.ended());
    for (unsigned lane = 0; lane < lanes_; ++lane) ended = ended && states_[lane] == kLowest;
    if (!ended) throw CorruptStream("the stream goes on after its last symbol, or was damaged");
}

}  // namespace tessera
