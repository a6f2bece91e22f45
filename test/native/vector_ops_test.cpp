// The samplers' vector ops on the reference backend: formulas to the bit, aliasing, edge values.
#include <algorithm>

#include "op_bench.h"

using namespace sdgen_test;
using sdgen::LincombTerm;
using sdgen::VectorView;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

/// A vector on a backend, with room before and after it that must stay untouched.
class DeviceVector {
 public:
  DeviceVector(sdgen::Backend& backend, const Floats& values)
      : backend_(backend), count_(static_cast<int64_t>(values.size())),
        buffer_(backend.allocate(static_cast<uint64_t>((count_ + 2 * kMargin) * 4))) {
    const Floats margins(static_cast<size_t>(count_ + 2 * kMargin), kMarker);
    backend.upload(*buffer_, 0, margins.data(), static_cast<int64_t>(margins.size() * 4));
    backend.upload(*buffer_, kMargin * 4, values.data(), count_ * 4);
  }
  VectorView view() const { return {buffer_.get(), kMargin, count_}; }
  Floats values() const {
    Floats all(static_cast<size_t>(count_ + 2 * kMargin));
    backend_.download(*buffer_, 0, all.data(), static_cast<int64_t>(all.size() * 4));
    for (int64_t i = 0; i < kMargin; ++i) {
      CHECK(all[static_cast<size_t>(i)] == kMarker && all[all.size() - 1 - static_cast<size_t>(i)] == kMarker);
    }
    return {all.begin() + kMargin, all.end() - kMargin};
  }

 private:
  static constexpr int64_t kMargin = 3;
  static constexpr float kMarker = -77.0f;
  sdgen::Backend& backend_;
  int64_t count_;
  std::unique_ptr<sdgen::Buffer> buffer_;
};

Floats lincomb_of(const std::vector<std::pair<float, Floats>>& terms) {
  Floats out;
  for (size_t i = 0; i < terms[0].second.size(); ++i) {
    float y = terms[0].first * terms[0].second[i];
    for (size_t t = 1; t < terms.size(); ++t) y = std::fma(terms[t].first, terms[t].second[i], y);
    out.push_back(y);
  }
  return out;
}

}  // namespace

TEST(vector_lincomb_in_the_order_written) {
  sdgen::Backend& backend = backend_of(2);
  for (const int64_t count : {1, 7, 8, 33, 4099}) {
    Numbers numbers(static_cast<uint64_t>(count));
    const Floats a = numbers.values(count), b = numbers.values(count), c = numbers.values(count),
                 d = numbers.values(count);
    const DeviceVector va(backend, a), vb(backend, b), vc(backend, c), vd(backend, d),
        out(backend, Floats(static_cast<size_t>(count), kNan));
    const std::vector<LincombTerm> terms = {
        {1.25f, va.view()}, {-0.3f, vb.view()}, {0.7f, vc.view()}, {1e-3f, vd.view()}};
    backend.lincomb(out.view(), std::span(terms).first(1));
    CHECK(same_bits(out.values(), lincomb_of({{1.25f, a}})));
    backend.lincomb(out.view(), terms);
    CHECK(same_bits(out.values(), lincomb_of({{1.25f, a}, {-0.3f, b}, {0.7f, c}, {1e-3f, d}})));
    CHECK(same_bits(va.values(), a) && same_bits(vd.values(), d));
  }
}

TEST(vector_lincomb_onto_any_of_its_terms) {
  sdgen::Backend& backend = backend_of(1);
  Numbers numbers(5);
  const Floats a = numbers.values(101), b = numbers.values(101), c = numbers.values(101);
  for (size_t target = 0; target < 3; ++target) {
    const DeviceVector vectors[] = {{backend, a}, {backend, b}, {backend, c}};
    const std::vector<LincombTerm> terms = {
        {0.9f, vectors[0].view()}, {1.7f, vectors[1].view()}, {-0.2f, vectors[2].view()}};
    backend.lincomb(vectors[target].view(), terms);
    CHECK_MSG(same_bits(vectors[target].values(), lincomb_of({{0.9f, a}, {1.7f, b}, {-0.2f, c}})),
              "onto term " << target);
  }
  // The same vector in every place, the result included.
  const DeviceVector x(backend, a);
  const std::vector<LincombTerm> terms = {{0.9f, x.view()}, {1.7f, x.view()}, {-0.2f, x.view()}};
  backend.lincomb(x.view(), terms);
  CHECK(same_bits(x.values(), lincomb_of({{0.9f, a}, {1.7f, a}, {-0.2f, a}})));
  // Two slices of one buffer do not overlap and do not disturb each other.
  const DeviceVector halves(backend, a);
  const std::vector<LincombTerm> first = {{2.0f, halves.view().slice(50, 50)}};
  backend.lincomb(halves.view().slice(0, 50), first);
  Floats want = a;
  for (size_t i = 0; i < 50; ++i) want[i] = 2 * a[50 + i];
  CHECK(same_bits(halves.values(), want));
}

TEST(vector_guide_with_and_without_uncond) {
  sdgen::Backend& backend = backend_of(1);
  Numbers numbers(6);
  const Floats x = numbers.values(77, 14.0f), cond = numbers.values(77), uncond = numbers.values(77);
  const float c_skip = 0.8f, c_out = -3.7f, cfg = 7.5f;
  Floats guided, plain;
  for (size_t i = 0; i < x.size(); ++i) {
    const float dc = std::fma(c_out, cond[i], c_skip * x[i]), du = std::fma(c_out, uncond[i], c_skip * x[i]);
    plain.push_back(dc);
    guided.push_back(std::fma(cfg, dc - du, du));
  }
  for (int target = 0; target < 4; ++target) {  // `out` may be any of the inputs
    const DeviceVector vectors[] = {{backend, x}, {backend, cond}, {backend, uncond}, {backend, Floats(77, kNan)}};
    backend.guide(vectors[target].view(), vectors[0].view(), vectors[1].view(), vectors[2].view(), c_skip, c_out, cfg);
    CHECK_MSG(same_bits(vectors[target].values(), guided), "guided, onto " << target);
  }
  for (const int target : {0, 1, 3}) {
    const DeviceVector vectors[] = {{backend, x}, {backend, cond}, {backend, uncond}, {backend, Floats(77, kNan)}};
    backend.guide(vectors[target].view(), vectors[0].view(), vectors[1].view(), {}, c_skip, c_out, cfg);
    CHECK_MSG(same_bits(vectors[target].values(), plain), "without uncond, onto " << target);
  }
}

TEST(vector_all_finite_at_every_place) {
  sdgen::Backend& backend = backend_of(1);
  const float denormal = std::numeric_limits<float>::denorm_min(), largest = std::numeric_limits<float>::max();
  const float odd_nan = std::bit_cast<float>(0xff800001U);  // signalling, negative
  for (const int64_t count : {1, 7, 8, 31, 64, 100}) {
    Numbers numbers(static_cast<uint64_t>(count));
    const Floats fine = numbers.values(count);
    CHECK(backend.all_finite(DeviceVector(backend, fine).view()));
    for (int64_t at = 0; at < count; ++at) {
      for (const float bad : {kNan, -kNan, kInf, -kInf, odd_nan}) {
        Floats values = fine;
        values[static_cast<size_t>(at)] = bad;
        CHECK_MSG(!backend.all_finite(DeviceVector(backend, values).view()), bad << " at " << at << " of " << count);
      }
      for (const float good : {denormal, -denormal, largest, -largest, 0.0f, -0.0f}) {
        Floats values = fine;
        values[static_cast<size_t>(at)] = good;
        CHECK_MSG(backend.all_finite(DeviceVector(backend, values).view()), good << " at " << at << " of " << count);
      }
    }
  }
  // Only the slice counts.
  const DeviceVector edges(backend, {kNan, 1.0f, 2.0f, kInf});
  CHECK(backend.all_finite(edges.view().slice(1, 2)));
  CHECK(!backend.all_finite(edges.view().slice(1, 3)));
}

TEST(vector_to_rgb8_truncates) {
  sdgen::Backend& backend = backend_of(1);
  struct Row {
    float x;
    int level;
  };
  // (x + 1)/2·255: 0 is 127.5, which truncates to 127; -1 + 2/255 is the first value of level 1.
  const Row rows[] = {{-1.0f, 0},   {1.0f, 255},       {0.0f, 127},  {-1.5f, 0},       {1.5f, 255},
                      {-1e30f, 0},  {1e30f, 255},      {-kInf, 0},   {kInf, 255},      {0.999f, 254},
                      {-0.999f, 0}, {-0.99f, 1},       {0.5f, 191},  {-0.5f, 63},      {1e-40f, 127},
                      {-0.0f, 127}, {0.9999999f, 254}, {0.25f, 159}, {1.0f / 255, 128}};
  Floats x;
  for (const Row& row : rows) x.push_back(row.x);
  std::vector<uint8_t> got(x.size(), 99);
  backend.to_rgb8(DeviceVector(backend, x).view(), got.data());
  for (size_t i = 0; i < x.size(); ++i)
    CHECK_MSG(got[i] == rows[i].level, x[i] << " gave " << int{got[i]} << ", expected " << rows[i].level);

  // Every level's own middle comes back, and nothing in between is rounded up.
  Floats middles;
  for (int level = 0; level < 255; ++level) middles.push_back(static_cast<float>((level + 0.5) / 255 * 2 - 1));
  got.assign(255, 0);
  backend.to_rgb8(DeviceVector(backend, middles).view(), got.data());
  for (int level = 0; level < 255; ++level) CHECK(got[static_cast<size_t>(level)] == level);
}

TEST(vector_blend_by_its_formula) {
  sdgen::Backend& backend = backend_of(1);
  for (const int64_t count : {1, 8, 33}) {
    Numbers numbers(static_cast<uint64_t>(count) + 60);
    const Floats x = numbers.values(count), weight = numbers.values(count), kept = numbers.values(count);
    Floats want;
    for (size_t i = 0; i < x.size(); ++i) want.push_back(std::fma(x[i], weight[i], kept[i]));
    const DeviceVector on(backend, x), by(backend, weight), to(backend, kept);
    backend.blend(on.view(), by.view(), to.view());
    CHECK(same_bits(on.values(), want) && same_bits(by.values(), weight) && same_bits(to.values(), kept));
  }
}
