// Requests of a caller that is not JavaScript: what the readers take, what they refuse and how they name it; results.
#include <cmath>
#include <map>
#include <thread>

#include "base/error.h"
#include "boundary/jobs.h"
#include "boundary/requests.h"
#include "boundary/tool_requests.h"
#include "boundary/values.h"
#include "check.h"

namespace {

using sdgen::ErrorCode;
using sdgen::boundary::Argument;
using sdgen::boundary::Source;
using sdgen::boundary::Value;

/// A caller's value made of C++'s.
class Plain final : public Source {
 public:
  using List = std::vector<std::shared_ptr<const Plain>>;
  using Fields = std::map<std::string, std::shared_ptr<const Plain>>;
  std::variant<std::monostate, bool, double, std::string, List, std::vector<float>, std::vector<int32_t>, std::vector<uint8_t>, Fields, std::nullptr_t> data;

  Kind kind() const override {
    constexpr Kind kinds[] = {Kind::kAbsent, Kind::kBoolean, Kind::kNumber, Kind::kText,   Kind::kArray,
                              Kind::kFloats, Kind::kInt32s,  Kind::kBytes,  Kind::kObject, Kind::kOther};
    return kinds[data.index()];
  }
  bool boolean() const override { return std::get<bool>(data); }
  double number() const override { return std::get<double>(data); }
  std::string text() const override { return std::get<std::string>(data); }
  uint32_t length() const override {
    return std::visit([](const auto& value) -> uint32_t {
      if constexpr (requires { value[0]; value.begin(); }) return static_cast<uint32_t>(value.size());
      else return 0;
    }, data);
  }
  std::vector<float> floats() const override { return std::get<std::vector<float>>(data); }
  std::vector<int32_t> int32s() const override { return std::get<std::vector<int32_t>>(data); }
  std::vector<uint8_t> bytes() const override { return std::get<std::vector<uint8_t>>(data); }
  std::shared_ptr<const Source> field(const char* name) const override {
    const auto* fields = std::get_if<Fields>(&data);
    const auto found = fields == nullptr ? Fields::const_iterator() : fields->find(name);
    return fields == nullptr || found == fields->end() ? std::make_shared<Plain>() : found->second;
  }
  std::shared_ptr<const Source> element(uint32_t place) const override { return std::get<List>(data).at(place); }
  std::string shown() const override {
    if (kind() == Kind::kNumber) return std::to_string(number());
    return kind() == Kind::kAbsent ? "undefined" : kind() == Kind::kOther ? "null" : "an object";
  }
};

template <typename T>
std::shared_ptr<const Plain> plain(T value) {
  auto made = std::make_shared<Plain>();
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) made->data = static_cast<double>(value);
  else made->data = std::move(value);
  return made;
}
std::shared_ptr<const Plain> text(const char* value) { return plain(std::string(value)); }
Argument whole(Plain::Fields fields) { return {plain(std::move(fields)), ""}; }

/// The message of the refusal; empty where there is none.
template <typename Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const sdgen::Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

sdgen::ModelDescription small_model() {
  sdgen::ModelDescription model;
  model.latent_channels = 4;
  model.text.positions = 3;
  model.text.vocabulary = 10;
  model.text.layers = 2;
  model.unet.in_channels = 4;
  model.unet.context_width = 2;
  return model;
}

Plain::Fields latent(int64_t width, size_t values) {
  return {{"batch", plain(1)}, {"channels", plain(4)}, {"height", plain(1)}, {"width", plain(width)}, {"data", plain(std::vector<float>(values))}};
}

const Value& member(const Value& value, const std::string& name) {
  for (const auto& [key, found] : std::get<Value::Fields>(value.data)) {
    if (key == name) return found;
  }
  throw sdgen::Error(ErrorCode::kInternal, "no member " + name);
}

}  // namespace

TEST(boundary_numbers_have_ranges_and_names) {
  const auto at = [](auto value) { return Argument(plain(value), "steps"); };
  CHECK(at(3).integer(0, 5) == 3);
  CHECK(at(2.5).number(0) == 2.5);
  CHECK(refusal([&] { at(2.5).integer(0, 5); }) == "steps must be an integer from 0 to 5, got 2.500000");
  CHECK(refusal([&] { at(6).integer(0, 5); }).starts_with("steps must be an integer from 0 to 5, got 6"));
  CHECK(!refusal([&] { at(std::nan("")).integer(0, 5); }).empty());
  CHECK(!refusal([&] { at(HUGE_VAL).number(0); }).empty());
  CHECK(refusal([&] { at(-1).number(0); }).starts_with("steps must be a finite number of at least 0, got -1"));
  CHECK(refusal([&] { at(std::string("5")).number(0); }) == "steps must be a finite number of at least 0, got \"5\"");
  CHECK(refusal([&] { at(nullptr).boolean(); }) == "steps must be true or false, got null");
  CHECK(refusal([&] { at(std::string(90, 'x')).boolean(); }) == "steps must be true or false, got a value of 90 characters");
  CHECK(refusal([&] { at(std::string("a\0b", 3)).text(); }).starts_with("steps must be a string, not empty and without NUL"));
  CHECK(refusal([&] { Argument(plain(1), "")["x"]; }).starts_with("the argument must be an object, got 1"));
}

TEST(boundary_arrays_are_counted_before_they_are_read) {
  const Argument list(plain(Plain::List{plain(1), plain(2)}), "seeds");
  CHECK(list.elements(2).size() == 2);
  CHECK(refusal([&] { list.elements(1); }) == "seeds must be an array of 1 to 1 elements, got an array of 2 elements");
  CHECK(refusal([&] { list.elements(2)[1].boolean(); }).starts_with("seeds[1] must be true or false"));
  const Argument floats(plain(std::vector<float>{1, HUGE_VALF}), "x");
  CHECK(refusal([&] { floats.floats(3); }).starts_with("x must be a Float32Array of 3 elements"));
  CHECK(refusal([&] { floats.floats(2); }) == "x[1] must be finite, got Infinity");
  CHECK(refusal([&] { floats.int32s(2, 5); }).starts_with("x must be an Int32Array of 2 elements"));
  const Argument ints(plain(std::vector<int32_t>{0, -4, 9}), "tokens");
  CHECK(refusal([&] { ints.int32s(3, 9); }) == "tokens[1] must be an integer from 0 to 9, got -4");
  CHECK(refusal([&] { ints.rgb(3); }).starts_with("tokens must be a Uint8Array or Float32Array of 3 elements"));
  const std::vector<float> colours = Argument(plain(std::vector<uint8_t>{0, 255, 51}), "data").rgb(3);
  CHECK(colours[0] == -1 && colours[1] == 1 && colours[2] == 2.0f * (51.0f / 255.0f) - 1.0f);
}

TEST(boundary_requests_are_read_whole_or_not) {
  const sdgen::ModelDescription model = small_model();
  const auto decode = [&](Plain::Fields fields) { return sdgen::boundary::read_decode_request(whole({{"latent", plain(std::move(fields))}}), model); };
  CHECK(decode(latent(2, 8)).latent.data.size() == 8);
  CHECK(refusal([&] { decode(latent(2, 7)); }).starts_with("latent.data must be a Float32Array of 8 elements"));
  CHECK(refusal([&] { decode(latent(int64_t{1} << 40, 8)); }).starts_with("latent.width must be an integer from 1 to 1048576"));
  const auto chunk = [&](int32_t token) {
    return plain(Plain::Fields{{"tokens", plain(std::vector<int32_t>{1, token, 2})}, {"weights", plain(std::vector<float>{1, 1, 1})}});
  };
  const auto texts = [&](int32_t token) {
    Plain::Fields one{{"chunks", plain(Plain::List{chunk(token)})}, {"count", plain(1)}};
    Plain::List groups{plain(Plain::List{plain(std::move(one))})};
    return sdgen::boundary::read_text_request(whole({{"groups", plain(std::move(groups))}, {"clipSkip", plain(1)}, {"restoreMean", plain(true)}}), model);
  };
  CHECK(texts(9).groups[0][0].chunks[0].tokens[1] == 9);
  CHECK(refusal([&] { texts(10); }) == "groups[0][0].chunks[0].tokens[1] must be an integer from 0 to 9, got 10");
}

TEST(boundary_options_know_their_names) {
  const auto open = [](const char* device, const char* precision) {
    return sdgen::boundary::read_open_options(whole({{"path", text("m")}, {"device", text(device)}, {"precision", text(precision)}, {"threads", plain(2)}}));
  };
  CHECK(open("cuda:1", "fp16").device == "cuda:1");
  CHECK(open("cpu", "bf16").precision == "bf16");
  CHECK(refusal([&] { open("gpu", "fp32"); }) == "device must be one of reference, cpu, cuda, got \"gpu\"");
  CHECK(refusal([] { sdgen::boundary::read_probe_options(whole({{"precision", text("fp16")}})); }) == "precision must be one of fp32, bf16, got \"fp16\"");
}

TEST(boundary_results_are_plain_values) {
  const Value all = sdgen::boundary::capabilities();
  CHECK(std::get<Value::List>(member(all, "samplers").data).size() == sdgen::sampler_ids().size());
  sdgen::ModelDescription model = small_model();
  model.metadata = {{"__proto__", "x"}};
  const Value described = sdgen::boundary::to_value(model);
  CHECK(std::get<std::string>(member(member(described, "metadata"), "__proto__").data) == "x");
  CHECK(std::get<double>(member(described, "latentChannels").data) == 4);
  const std::vector<sdgen::TrailPoint> trail{{3, {0xabcdef, 0}}};
  const Value told = sdgen::boundary::to_value(trail);
  const auto& hashes = std::get<Value::List>(member(std::get<Value::List>(told.data)[0], "hashes").data);
  CHECK(std::get<std::string>(hashes[0].data) == "0000000000abcdef");
}

TEST(boundary_jobs_work_on_a_worker_and_give_their_value_after_it) {
  sdgen::boundary::Job job = sdgen::boundary::probe_job(whole({{"precision", text("fp32")}, {"threads", plain(1)}, {"seconds", plain(0.02)}}));
  const auto task = std::make_shared<sdgen::Task>(std::move(job.work));
  {
    sdgen::Worker worker([] {});
    worker.submit(task);
    while (!task->finished()) std::this_thread::yield();
  }
  CHECK(!task->failure());
  CHECK(std::get<double>(job.result().data) > 0);
  sdgen::ModelDescription model = small_model();
  const std::string missing = refusal([&] { sdgen::boundary::resize_job(whole({{"latent", plain(latent(2, 8))}, {"width", plain(2)}}), model); });
  CHECK_MSG(missing.starts_with("height must be an integer"), missing);
}
