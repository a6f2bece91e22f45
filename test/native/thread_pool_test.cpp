#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/fp_environment.h"
#include "base/thread_pool.h"
#include "check.h"

#ifdef SDGEN_HAS_MXCSR
#include <xmmintrin.h>
#endif

namespace {

using Share = std::tuple<int64_t, int64_t, int>;  // begin, end, thread

std::vector<Share> shares_of(sdgen::ThreadPool& pool, int64_t count, int64_t grain) {
  std::vector<Share> by_thread(static_cast<size_t>(pool.size()), Share{-1, -1, -1});
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int thread) {
    by_thread[static_cast<size_t>(thread)] = {begin, end, thread};
  });
  std::vector<Share> shares;
  for (const Share& share : by_thread) {
    if (std::get<2>(share) >= 0) shares.push_back(share);
  }
  return shares;
}

double process_cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

TEST(thread_pool_shares_cover_everything_once_in_order) {
  for (const int threads : {1, 2, 3, 5, 8}) {
    sdgen::ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const int64_t count : {1, 2, 3, 7, 8, 63, 64, 65, 1000}) {
      for (const int64_t grain : {1, 2, 7, 64, 2000}) {
        const std::vector<Share> shares = shares_of(pool, count, grain);
        int64_t at = 0, longest = 0, shortest = std::numeric_limits<int64_t>::max();
        for (size_t i = 0; i < shares.size(); ++i) {
          const auto [begin, end, thread] = shares[i];
          const bool follows = begin == at && end > begin && thread == static_cast<int>(i);
          CHECK_MSG(follows, count << "/" << grain << "/" << threads);
          CHECK(i + 1 == shares.size() || (end - begin) % grain == 0);
          const int64_t units = (end - begin + grain - 1) / grain;
          longest = std::max(longest, units);
          shortest = std::min(shortest, units);
          at = end;
        }
        CHECK_MSG(at == count, count << "/" << grain << "/" << threads << " ended at " << at);
        CHECK(longest - shortest <= 1);
        CHECK(shares == shares_of(pool, count, grain));
      }
    }
  }
}

TEST(thread_pool_extreme_sizes) {
  sdgen::ThreadPool pool(3);
  CHECK(shares_of(pool, 0, 1).empty());
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const std::vector<Share> shares = shares_of(pool, kMax, kMax / 2);
  CHECK(shares.size() == 3 && std::get<1>(shares.back()) == kMax);
  const std::vector<Share> one = shares_of(pool, 5, kMax);
  CHECK(one.size() == 1 && std::get<1>(one[0]) == 5);
}

TEST(thread_pool_refuses_bad_arguments) {
  std::string what;
  CHECK_THROWS(sdgen::ThreadPool pool(0), sdgen::ErrorCode::kInvalidArgument, what);
  CHECK_THROWS(sdgen::ThreadPool pool(1 << 20), sdgen::ErrorCode::kInvalidArgument, what);
  sdgen::ThreadPool pool(2);
  CHECK_THROWS(pool.parallel_for(-1, 1, [](int64_t, int64_t, int) {}), sdgen::ErrorCode::kInternal, what);
  CHECK_THROWS(pool.parallel_for(1, 0, [](int64_t, int64_t, int) {}), sdgen::ErrorCode::kInternal, what);
}

TEST(thread_pool_throws_the_lowest_share_and_stays_usable) {
  sdgen::ThreadPool pool(4);
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::atomic<int> finished{0};
    std::string what;
    const auto body = [&](int64_t, int64_t, int thread) {
      finished.fetch_add(1);
      // The lower share throws last.
      if (thread == 1) std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (thread != 0) throw sdgen::Error(sdgen::ErrorCode::kNonFinite, std::to_string(thread));
    };
    CHECK_THROWS(pool.parallel_for(4, 1, body), sdgen::ErrorCode::kNonFinite, what);
    CHECK(what == "1");
    CHECK(finished.load() == 4);
  }
  CHECK(shares_of(pool, 4, 1).size() == 4);
}

TEST(thread_pool_passes_foreign_exceptions) {
  sdgen::ThreadPool pool(2);
  bool caught = false;
  try {
    pool.parallel_for(2, 1, [](int64_t, int64_t, int thread) {
      if (thread == 0) throw std::length_error("of the caller's own share");
    });
  } catch (const std::length_error&) {
    caught = true;
  }
  CHECK(caught);
}

TEST(thread_pool_refuses_nesting) {
  for (const int threads : {1, 2}) {
    sdgen::ThreadPool pool(threads);
    std::string what;
    const auto body = [&](int64_t, int64_t, int) { pool.parallel_for(2, 1, [](int64_t, int64_t, int) {}); };
    CHECK_THROWS(pool.parallel_for(2, 1, body), sdgen::ErrorCode::kInternal, what);
    CHECK(!shares_of(pool, 2, 1).empty());
  }
}

TEST(thread_pool_lets_callers_take_turns) {
  sdgen::ThreadPool pool(3);
  std::atomic<int> inside{0}, most{0};
  std::vector<int64_t> sums(4, 0);
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < sums.size(); ++caller) {
    callers.emplace_back([&, caller] {
      std::atomic<int64_t> sum{0};
      for (int round = 0; round < 300; ++round) {
        pool.parallel_for(3, 1, [&](int64_t begin, int64_t end, int) {
          const int now = inside.fetch_add(1) + 1;
          for (int seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          sum.fetch_add(end - begin);
          inside.fetch_sub(1);
        });
      }
      sums[caller] = sum.load();
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK((sums == std::vector<int64_t>{900, 900, 900, 900}));
  CHECK(most.load() <= 3);
}

TEST(thread_pool_is_one_for_all_who_share_it) {
  std::weak_ptr<sdgen::ThreadPool> gone;
  {
    // Sizes that no backend of another test has.
    const auto one = sdgen::shared_thread_pool(11), other = sdgen::shared_thread_pool(11), larger = sdgen::shared_thread_pool(13);
    CHECK(one == other && one != larger);
    CHECK(one->size() == 11 && larger->size() == 13);
    gone = one;
  }
  CHECK(gone.expired());
  CHECK(sdgen::shared_thread_pool(11)->size() == 11);
}

TEST(thread_pool_many_short_rounds) {
  sdgen::ThreadPool pool(4);
  std::vector<int64_t> sums(4, 0);
  int64_t expected = 0;
  for (int64_t round = 0; round < 3000; ++round) {
    // Few and many shares in turn, so that threads sit rounds out.
    const int64_t count = 1 + round % 6;
    expected += count;
    pool.parallel_for(count, 1, [&](int64_t begin, int64_t end, int thread) {
      sums[static_cast<size_t>(thread)] += end - begin;
    });
  }
  CHECK(sums[0] + sums[1] + sums[2] + sums[3] == expected);
}

TEST(thread_pool_destruction) {
  for (int i = 0; i < 50; ++i) sdgen::ThreadPool unused(1 + i % 5);
  for (int i = 0; i < 50; ++i) {
    std::atomic<int64_t> done{0};
    {
      sdgen::ThreadPool pool(3);
      pool.parallel_for(30, 1, [&](int64_t begin, int64_t end, int) { done.fetch_add(end - begin); });
    }
    CHECK(done.load() == 30);
  }
}

TEST(thread_pool_sleeps_when_idle) {
  sdgen::ThreadPool pool(4);
  pool.parallel_for(4, 1, [](int64_t, int64_t, int) {});
  const double before = process_cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  // Three spinning workers would have used at least 0.2 s.
  CHECK_MSG(process_cpu_seconds() - before < 0.05, process_cpu_seconds() - before);
}

#ifdef SDGEN_HAS_MXCSR
TEST(thread_pool_resets_flush_to_zero) {
  const unsigned saved = _mm_getcsr();
  constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ; threads started now inherit them
  _mm_setcsr(saved | kFlush);
  {
    sdgen::ThreadPool pool(3);
    std::vector<float> halves(3, 0.0f);
    std::vector<unsigned> modes(3, ~0u);
    const volatile float smallest_normal = 0x1p-126f;
    pool.parallel_for(3, 1, [&](int64_t, int64_t, int thread) {
      halves[static_cast<size_t>(thread)] = smallest_normal * 0.5f;
      modes[static_cast<size_t>(thread)] = _mm_getcsr() & ~0x3fu;  // without the sticky flags
    });
    // Compared as bits: this thread still reads subnormals as zero.
    for (const float half : halves) CHECK(std::bit_cast<uint32_t>(half) == 0x00400000u);
    for (const unsigned mode : modes) CHECK_MSG(mode == 0x1f80, mode);
  }
  CHECK((_mm_getcsr() & kFlush) == kFlush);
  {
    const sdgen::FpEnvironment environment;
    CHECK((_mm_getcsr() & kFlush) == 0);
  }
  CHECK((_mm_getcsr() & kFlush) == kFlush);
  _mm_setcsr(saved);
}
#endif
