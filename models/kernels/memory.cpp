#include "memory.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

// Under the sanitizer, reading a kept block or past the end of a request is an error.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TESSERA_POISON 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(TESSERA_POISON)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(block, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(block, bytes) static_cast<void>(0)
#endif

namespace tessera {
namespace {

constexpr size_t kAlignment = 64;

// Ahead of every block, in a line of its own.
struct Head {
    size_t bytes;
};

struct Store {
    std::mutex mutex;
    std::vector<Head*> blocks;
    size_t bytes = 0;
};

// Never destroyed: arrays may give their blocks back while the process ends.
Store& store() {
    static Store* const kept = new Store;
    return *kept;
}

void release(Head* head) noexcept { ::operator delete (head, std::align_val_t{kAlignment}); }

}  // namespace

void* take_block(size_t bytes) {
    Head* head = nullptr;
    {
        Store& kept = store();
        const std::lock_guard<std::mutex> lock(kept.mutex);
        auto best = kept.blocks.end();
        for (auto block = kept.blocks.begin(); block != kept.blocks.end(); ++block) {
            const bool fits = (*block)->bytes >= bytes && (*block)->bytes / 2 <= bytes;
            if (fits && (best == kept.blocks.end() || (*block)->bytes < (*best)->bytes)) best = block;
        }
        if (best != kept.blocks.end()) {
            head = *best;
            kept.blocks.erase(best);
            kept.bytes -= head->bytes;
        }
    }
    if (head == nullptr) {
        if (bytes > SIZE_MAX - kAlignment) throw std::bad_alloc();
        head = static_cast<Head*>(::operator new (bytes + kAlignment, std::align_val_t{kAlignment}));
        head->bytes = bytes;
    }
    unsigned char* block = reinterpret_cast<unsigned char*>(head) + kAlignment;
    ASAN_POISON_MEMORY_REGION(block, head->bytes);
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
}

void give_block(void* block) noexcept {
    if (block == nullptr) return;
    Head* head = reinterpret_cast<Head*>(static_cast<unsigned char*>(block) - kAlignment);
    ASAN_POISON_MEMORY_REGION(block, head->bytes);
    Store& kept = store();
    {
        const std::lock_guard<std::mutex> lock(kept.mutex);
        // the oldest blocks are freed, because the next frame will need the newest ones
        while (!kept.blocks.empty() && kept.bytes + head->bytes > kKeptBytes) {
            kept.bytes -= kept.blocks.front()->bytes;
            release(kept.blocks.front());
            kept.blocks.erase(kept.blocks.begin());
        }
        if (head->bytes <= kKeptBytes) {
            try {
                kept.blocks.push_back(head);
                kept.bytes += head->bytes;
                return;
            } catch (const std::bad_alloc&) {
            }
        }
    }
    release(head);
}

}  // namespace tessera
