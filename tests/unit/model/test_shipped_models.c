/* Every shipped model against the published or recomputed counts: trainable parameters, and
 * multiply-accumulates of convolutions, matrix products and attention for one sample. */
#include "model_support.h"

#include <dirent.h>

struct truth {
    const char *model, *set;
    uint64_t parameters;
    double macs;        /* 0: no figure */
    const char *except; /* a layer that the figure for MACs leaves out, or NULL */
};

static const struct truth truths[] = {
    {"alexnet", NULL, 61100840, 714188480, NULL},      /* torchvision */
    {"alexnet-2012", NULL, 60965224, 724406816, NULL}, /* Caffe */
    {"vgg16", NULL, 138357544, 15470264320, NULL},     /* torchvision */
    {"vgg19", NULL, 143667240, 19632062464, NULL},
    {"resnet18", NULL, 11689512, 1814073344, NULL},
    {"resnet34", NULL, 21797672, 3663761408, NULL},
    {"resnet50", NULL, 25557032, 4089184256, NULL}, /* v1.5 */
    {"resnet101", NULL, 44549160, 7801405440, NULL},
    {"resnet152", NULL, 60192808, 11513626624, NULL},
    {"googlenet", NULL, 6624904, 1498376192, NULL},     /* torchvision, no auxiliary heads */
    {"inception-v3", NULL, 23834568, 5713216096, NULL}, /* torchvision, no auxiliary head */
    {"mobilenet-v1", NULL, 4231976, 568740352, NULL},
    {"mobilenet-v2", NULL, 3504872, 300774272, NULL},
    {"yolov2", NULL, 50962889, 14732084224, NULL},        /* Darknet prints 29.47 BFLOPs */
    {"yolov2", "size: 608", 50962889, 31469126656, NULL}, /* 62.94 BFLOPs */
    {"yolov2-first16", NULL, 3424160, 13000343552, NULL},
    {"yolov2-voc", NULL, 50655389, 14680167424, NULL},
    {"tiny-yolov2-voc", NULL, 15861773, 3485520896, NULL},  /* 6.97 BFLOPs */
    {"tiny-yolov2-coco", NULL, 11232057, 2703221248, NULL}, /* 5.41 BFLOPs */
    {"squeezenet", NULL, 1248424, 0, NULL},
    {"densenet-121", NULL, 7978856, 0, NULL},
    {"gnmt-8", NULL, 193765952, 0, NULL}, /* sums of PipeDream's profiles */
    {"gnmt-16", NULL, 277717568, 0, NULL},
    {"bert-base", "sequence: 128", 109482240, 11173625856, "pooler"},
    {"bert-base", NULL, 109482240, 48318382080, "pooler"},
    {"bert-large", "sequence: 128", 335141888, 39460012032, "pooler"},
    {"bert-large", NULL, 335141888, 167503724544, "pooler"},
    {"gpt2", NULL, 124439808, 145824153600, NULL},
    {"gpt2", NULL, 124439808, 106300440576, "logits"},
    {"gpt2-medium", NULL, 354823168, 413475536896, NULL},
    {"gpt2-large", NULL, 774030080, 887285350400, NULL},
    {"gpt2-xl", NULL, 1557611200, 1753351782400, NULL},
    {"gpt3-175b", NULL, 174615846912, 367425862238208, NULL},
    {"vit-b16", NULL, 86567656, 17563828224, NULL}, /* torchvision */
    {"vit-l16", NULL, 304326632, 61554712576, NULL},
    {"llama2-7b", NULL, 6738415616, 31460635443200, NULL},
    {"llama2-13b", NULL, 13015864320, 0, NULL},
    {"llama2-70b", NULL, 68976648192, 303439439462400, NULL},
    {"llama3-70b", NULL, 70553706496, 657318974849024, NULL},
    {"llama3-405b", NULL, 405853388800, 3584579705241600, NULL},
    {"t5-small", NULL, 60506624, 0, NULL}, /* version 1.0 */
    {"t5-base", NULL, 222903552, 128597360640, NULL},
    {"t5-large", NULL, 737668096, 0, NULL},
    {"t5-3b", NULL, 2851598336, 0, NULL},
    {"t5-11b", NULL, 11307321344, 0, NULL},
    /* The released checkpoints' totals, which their config.json gives by arithmetic. */
    {"mixtral-8x7b", NULL, 46702792704, 0, NULL},
    {"mixtral-8x22b", NULL, 140620634112, 0, NULL},
    {"qwen1.5-moe", NULL, 14315784192, 0, NULL},
    {"qwen2-57b-a14b", NULL, 57408658944, 0, NULL},
    {"qwen3-30b-a3b", NULL, 30532122624, 0, NULL},
    {"qwen3-235b-a22b", NULL, 235093634560, 0, NULL},
    {"deepseek-v2", NULL, 235741434880, 0, NULL},
    {"deepseek-v2-lite", NULL, 15706484224, 0, NULL},
    {"deepseek-v3", NULL, 671026419200, 0, NULL}, /* without the module that predicts a second token */
    /* 187,767,399 rows of 128, and by arithmetic 13·512 + 512 + 512·256 + 256 + 256·128 + 128 below and
     * (351 + 128)·1024 + 1024 + 1024·1024 + 1024 + 1024·512 + 512 + 512·256 + 256 + 256 + 1 above. */
    {"dlrm", NULL, 24034227072 + 171392 + 2197505, 0, NULL},
    {"mnist-cnn", NULL, 1663370, 0, NULL}, /* McMahan et al. 2016 */
    {"mnist-2nn", NULL, 199210, 0, NULL},
};
enum { TRUTHS = sizeof truths / sizeof truths[0] };

static void every_model_has_its_published_parameters_and_macs(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRUTHS; i++) {
        const struct truth *truth = &truths[i];
        struct built built;
        built_from_shipped(&built, truth->model, truth->set, 1);
        built_want(&built);
        uint64_t parameters = model_parameters(&built.model);
        if (parameters != truth->parameters)
            fail_msg("%s has %llu parameters, not %llu", truth->model, (unsigned long long)parameters,
                     (unsigned long long)truth->parameters);
        double macs = model_macs(&built.model);
        if (truth->except)
            macs -= model_layer_macs(&built.model, built_layer(&built, truth->except));
        if (truth->macs > 0 && macs != truth->macs)
            fail_msg("%s has %.0f MACs, not %.0f", truth->model, macs, truth->macs);
        built_fini(&built);
    }
}

static void every_shipped_file_loads_and_its_layers_add_up(void **state)
{
    (void)state;
    struct input input;
    uint32_t count;
    input_init(&input, PARTITA_SOURCE);
    const char *const *list = document_list(&input, "workloads/models", &count);
    assert_true(count >= 35);
    for (uint32_t i = 0; i < count; i++) {
        struct built built;
        built_from_shipped(&built, list[i], NULL, 3);
        built_want(&built);
        uint64_t parameters = 0;
        double macs = 0;
        for (uint32_t k = 0; k < built.model.layers.count; k++) {
            parameters += model_layer_parameters(&built.model, k);
            macs += model_layer_macs(&built.model, k);
        }
        assert_int_equal(parameters, model_parameters(&built.model));
        assert_true(macs == model_macs(&built.model));
        built_fini(&built);
    }
    input_fini(&input);
}

static void macs_are_proportional_to_the_batch(void **state)
{
    (void)state;
    static const char *const models[] = {"vgg16", "gpt2", "gnmt-8", "mobilenet-v2", "llama2-70b"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct built one, five;
        built_from_shipped(&one, models[i], NULL, 1);
        built_from_shipped(&five, models[i], NULL, 5);
        assert_true(5 * model_macs(&one.model) == model_macs(&five.model));
        assert_int_equal(model_parameters(&one.model), model_parameters(&five.model));
        built_fini(&one);
        built_fini(&five);
    }
}

/* At 608 x 608 the first sixteen Darknet layers, which DeepThings distributes: 13,000,343,552 MACs and
 * 3,424,160 parameters. */
static void the_first_sixteen_layers_of_yolov2_are_units_of_their_own(void **state)
{
    (void)state;
    struct built built;
    built_from_shipped(&built, "yolov2", "size: 608", 1);
    built_want(&built);
    uint32_t first = model_find_unit(&built.model, "layer0"), last = model_find_unit(&built.model, "layer15");
    assert_int_equal(last - first, 15);
    uint64_t parameters = 0;
    double macs = 0;
    for (uint32_t k = 0; k < built.model.layers.count; k++) {
        uint32_t unit = built.model.layers.at[k].unit;
        parameters += unit >= first && unit <= last ? model_layer_parameters(&built.model, k) : 0;
        macs += unit >= first && unit <= last ? model_layer_macs(&built.model, k) : 0;
    }
    assert_int_equal(parameters, 3424160);
    assert_true(macs == 13000343552.0);
    built_fini(&built);
}

/* Transformer layer: 12 s h² + 2 s² h MACs and 12 h² + 13 h parameters. */
static void a_gpt_block_has_the_closed_form(void **state)
{
    (void)state;
    struct built built;
    built_from_shipped(&built, "gpt2-medium", "{sequence: 300, layers: 1}", 1);
    built_want(&built);
    double h = 1024, s = 300, macs = 0;
    uint64_t parameters = 0;
    uint32_t unit = model_find_unit(&built.model, "block[0]");
    assert_int_not_equal(unit, MODEL_NONE);
    const struct model_unit *block = &built.model.units.at[unit];
    for (uint32_t k = block->first_layer; k < block->first_layer + block->layer_count; k++) {
        macs += model_layer_macs(&built.model, k);
        parameters += model_layer_parameters(&built.model, k);
    }
    assert_true(macs == 12 * s * h * h + 2 * s * s * h);
    assert_int_equal(parameters, 12 * 1024 * 1024 + 13 * 1024);
    built_fini(&built);
}

static void vgg16_has_the_layers_that_workloads_refer_to(void **state)
{
    (void)state;
    struct built built;
    built_from_shipped(&built, "vgg16", NULL, 1);
    built_want(&built);
    static const char *const names[] = {"conv1_1", "pool1", "conv5_3", "pool5",  "flatten",
                                        "fc6",     "fc7",   "fc8",     "softmax"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_not_equal(model_find_unit(&built.model, names[i]), MODEL_NONE);
    assert_int_equal(model_find_unit(&built.model, "softmax"), built.model.units.count - 1);
    assert_string_equal(built.model.sample, "image");
    built_fini(&built);
}

static void two_thousand_blocks_are_built_alike(void **state)
{
    (void)state;
    struct built built;
    built_from_shipped(&built, "llama3-405b", "layers: 2000", 1);
    built_want(&built);
    assert_int_equal(built.model.units.count, 2005);
    const uint64_t block = (405853388800u - 2u * 128256u * 16384u - 16384u) / 126;
    assert_true(model_parameters(&built.model) == 2000 * block + 2u * 128256u * 16384u + 16384u);
    built_fini(&built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_has_its_published_parameters_and_macs),
        cmocka_unit_test(every_shipped_file_loads_and_its_layers_add_up),
        cmocka_unit_test(macs_are_proportional_to_the_batch),
        cmocka_unit_test(the_first_sixteen_layers_of_yolov2_are_units_of_their_own),
        cmocka_unit_test(a_gpt_block_has_the_closed_form),
        cmocka_unit_test(vgg16_has_the_layers_that_workloads_refer_to),
        cmocka_unit_test(two_thousand_blocks_are_built_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
