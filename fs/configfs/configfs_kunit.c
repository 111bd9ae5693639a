// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * configfs_kunit.c - tests of what needs no directory: names, references and states.
 *
 * What can be seen from userspace is tested by tools/testing/selftests/configfs.
 */

#include <kunit/test.h>
#include <linux/configfs.h>
#include <linux/fs.h>

#include "configfs_internal.h"

static void short_and_long_names(struct kunit *test)
{
	struct config_item item = {};
	const char *longest = "nineteen characters";
	const char *longer = "twenty characters :)";

	KUNIT_ASSERT_EQ(test, strlen(longer), CONFIGFS_ITEM_NAME_LEN);

	KUNIT_EXPECT_EQ(test, config_item_set_name(&item, "%s", longest), 0);
	KUNIT_EXPECT_STREQ(test, config_item_name(&item), longest);
	KUNIT_EXPECT_PTR_EQ(test, config_item_name(&item), &item.ci_namebuf[0]);

	KUNIT_EXPECT_EQ(test, config_item_set_name(&item, "%s", longer), 0);
	KUNIT_EXPECT_STREQ(test, config_item_name(&item), longer);
	KUNIT_EXPECT_PTR_NE(test, config_item_name(&item), &item.ci_namebuf[0]);

	/* Frees the longer one */
	KUNIT_EXPECT_EQ(test, config_item_set_name(&item, "%d", 7), 0);
	KUNIT_EXPECT_STREQ(test, config_item_name(&item), "7");
	KUNIT_EXPECT_PTR_EQ(test, config_item_name(&item), &item.ci_namebuf[0]);
}

static void find_by_name(struct kunit *test)
{
	static const struct config_item_type type;
	struct config_group group = {};
	struct config_item items[2] = {};

	config_group_init_type_name(&group, "group", &type);
	config_item_init_type_name(&items[0], "first", &type);
	config_item_init_type_name(&items[1], "second", &type);
	KUNIT_EXPECT_NULL(test, config_group_find_item(&group, "first"));

	list_add_tail(&items[0].ci_entry, &group.cg_children);
	list_add_tail(&items[1].ci_entry, &group.cg_children);
	KUNIT_EXPECT_PTR_EQ(test, config_group_find_item(&group, "second"), &items[1]);
	KUNIT_EXPECT_EQ(test, kref_read(&items[1].ci_kref), 2);
	KUNIT_EXPECT_EQ(test, kref_read(&items[0].ci_kref), 1);
	KUNIT_EXPECT_NULL(test, config_group_find_item(&group, "secon"));
}

static void no_reference_after_the_last(struct kunit *test)
{
	static const struct config_item_type type;
	struct config_item item = {};

	config_item_init_type_name(&item, "item", &type);
	KUNIT_EXPECT_PTR_EQ(test, config_item_get_unless_zero(&item), &item);
	config_item_put(&item);
	config_item_put(&item);
	KUNIT_EXPECT_NULL(test, config_item_get_unless_zero(&item));
	KUNIT_EXPECT_NULL(test, config_item_get_unless_zero(NULL));
}

/* An item with a state, one in it without, and one in that: what it is in */
struct tree {
	struct configfs_fragment *outer;
	struct configfs_fragment *inner;
	struct configfs_fragment *innermost;
};

static struct configfs_fragment *new_fragment(struct kunit *test,
					      struct configfs_fragment *outer,
					      unsigned int flags)
{
	struct configfs_fragment *frag = configfs_new_fragment(outer, flags);

	KUNIT_ASSERT_NOT_NULL(test, frag);
	return frag;
}

static void new_tree(struct kunit *test, struct tree *tree)
{
	tree->outer = new_fragment(test, NULL, CONFIGFS_FRAG_STATE);
	tree->inner = new_fragment(test, tree->outer, 0);
	tree->innermost = new_fragment(test, tree->inner, CONFIGFS_FRAG_STATE);
}

static void put_tree(struct tree *tree)
{
	put_fragment(tree->outer);
	put_fragment(tree->inner);
	put_fragment(tree->innermost);
}

static void outer_is_the_nearest_with_a_state(struct kunit *test)
{
	struct configfs_fragment *below;
	struct tree tree;

	new_tree(test, &tree);
	below = new_fragment(test, tree.innermost, 0);
	KUNIT_EXPECT_NULL(test, tree.outer->frag_outer);
	KUNIT_EXPECT_PTR_EQ(test, tree.inner->frag_outer, tree.outer);
	KUNIT_EXPECT_PTR_EQ(test, tree.innermost->frag_outer, tree.outer);
	KUNIT_EXPECT_PTR_EQ(test, below->frag_outer, tree.innermost);
	KUNIT_EXPECT_FALSE(test, tree.outer->frag_flags & CONFIGFS_FRAG_INNER);
	KUNIT_EXPECT_TRUE(test, tree.inner->frag_flags & CONFIGFS_FRAG_INNER);
	/* Each keeps what it is in */
	put_tree(&tree);
	KUNIT_EXPECT_EQ(test, atomic_read(&below->frag_outer->frag_count), 1);
	put_fragment(below);
}

static void change_and_commit_exclude_each_other(struct kunit *test)
{
	struct tree tree;

	new_tree(test, &tree);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.innermost), 0);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.inner), 0);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), -EBUSY);
	configfs_end_change(tree.inner);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), -EBUSY);
	configfs_end_change(tree.innermost);

	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), 0);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.inner), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.innermost), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.innermost), -EBUSY);
	/* Nothing of what was refused is left */
	configfs_end_exclusive(tree.outer);
	KUNIT_EXPECT_EQ(test, configfs_begin_exclusive(tree.innermost), 0);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.inner), 0);
	configfs_end_change(tree.inner);
	configfs_end_outer_change(tree.innermost);
	configfs_end_exclusive(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), 0);
	configfs_end_exclusive(tree.outer);
	put_tree(&tree);
}

static void live_is_frozen(struct kunit *test)
{
	struct tree tree;

	new_tree(test, &tree);
	configfs_set_live(tree.outer, true);
	KUNIT_EXPECT_EQ(test, configfs_get_active(tree.innermost), 0);
	configfs_put_active(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_get_active_to_write(tree.outer, false), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_get_active_to_write(tree.innermost, false), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_get_active_to_write(tree.innermost, true), 0);
	configfs_put_active(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_begin_write(tree.inner, false), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.inner), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_begin_exclusive(tree.innermost), -EBUSY);
	/* All is released: it can be held exclusively */
	KUNIT_EXPECT_TRUE(test, down_write_trylock(&tree.outer->frag_sem));
	up_write(&tree.outer->frag_sem);

	configfs_set_live(tree.outer, false);
	KUNIT_EXPECT_EQ(test, configfs_get_active_to_write(tree.innermost, false), 0);
	configfs_put_active(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.inner), 0);
	configfs_end_change(tree.inner);
	put_tree(&tree);
}

static void dead_is_gone(struct kunit *test)
{
	struct tree tree;

	new_tree(test, &tree);
	kill_fragment(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_get_active(tree.innermost), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_get_active_to_write(tree.innermost, true), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_begin_write(tree.innermost, true), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_begin_change(tree.innermost), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_begin_exclusive(tree.innermost), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_get_active(tree.inner), 0);
	configfs_put_active(tree.inner);
	KUNIT_EXPECT_TRUE(test, down_write_trylock(&tree.outer->frag_sem));
	up_write(&tree.outer->frag_sem);
	put_tree(&tree);
}

static void written_data_are_counted(struct kunit *test)
{
	struct tree tree;

	new_tree(test, &tree);
	KUNIT_EXPECT_EQ(test, configfs_begin_write(tree.innermost, false), 0);
	KUNIT_EXPECT_EQ(test, configfs_begin_write(tree.inner, false), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.innermost->frag_written), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.inner->frag_written), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.outer->frag_written), 2);
	configfs_end_write(tree.innermost);
	configfs_end_write(tree.inner);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.innermost->frag_written), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.outer->frag_written), 0);
	/* What can be written while live is in nobody's way */
	KUNIT_EXPECT_EQ(test, configfs_begin_write(tree.inner, true), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tree.outer->frag_written), 0);
	put_tree(&tree);
}

static int add_user(struct configfs_fragment *frag)
{
	guard(spinlock)(&configfs_dirent_lock);
	return configfs_add_user(frag);
}

static void no_user_while_it_moves(struct kunit *test)
{
	struct tree tree;

	new_tree(test, &tree);
	KUNIT_EXPECT_EQ(test, add_user(tree.innermost), 0);
	KUNIT_EXPECT_EQ(test, add_user(tree.inner), 0);
	KUNIT_EXPECT_EQ(test, tree.innermost->frag_users, 1);
	KUNIT_EXPECT_EQ(test, tree.outer->frag_users, 2);
	scoped_guard(spinlock, &configfs_dirent_lock) {
		configfs_remove_user(tree.innermost);
		configfs_remove_user(tree.inner);
	}
	KUNIT_EXPECT_EQ(test, tree.outer->frag_users, 0);

	tree.outer->frag_users = -1;
	KUNIT_EXPECT_EQ(test, add_user(tree.innermost), -EBUSY);
	KUNIT_EXPECT_EQ(test, tree.innermost->frag_users, 0);
	KUNIT_EXPECT_EQ(test, tree.outer->frag_users, -1);
	tree.outer->frag_users = 0;
	put_tree(&tree);
}

static void links_move_along(struct kunit *test)
{
	struct configfs_fragment *to;
	struct tree tree;

	new_tree(test, &tree);
	to = new_fragment(test, NULL, CONFIGFS_FRAG_STATE);
	scoped_guard(spinlock, &configfs_dirent_lock) {
		configfs_count_link(tree.innermost, 1);
		configfs_count_link(tree.innermost, 1);
		configfs_count_link(tree.inner, 1);
	}
	KUNIT_EXPECT_EQ(test, tree.outer->frag_links, 3);

	KUNIT_ASSERT_EQ(test, configfs_begin_exclusive(tree.innermost), 0);
	down_write(&tree.innermost->frag_sem);
	KUNIT_ASSERT_EQ(test, configfs_begin_outer_change(to), 0);
	configfs_set_outer(tree.innermost, to);
	KUNIT_EXPECT_EQ(test, tree.outer->frag_links, 1);
	KUNIT_EXPECT_EQ(test, to->frag_links, 2);
	/* It is a change of the new one now, and not of the former */
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(to), -EBUSY);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(tree.outer), 0);
	configfs_end_exclusive(tree.outer);
	up_write(&tree.innermost->frag_sem);
	configfs_end_outer_change(tree.innermost);
	configfs_end_exclusive(tree.innermost);
	KUNIT_EXPECT_EQ(test, configfs_try_begin_exclusive(to), 0);
	configfs_end_exclusive(to);
	put_fragment(to);
	put_tree(&tree);
}

static void positive_results_are_bugs(struct kunit *test)
{
	static const struct config_item_type type;
	struct config_group group = {};

	config_group_init_type_name(&group, "group", &type);
	KUNIT_EXPECT_EQ(test, configfs_op_result(&group, NULL, 0), 0);
	KUNIT_EXPECT_EQ(test, configfs_op_result(&group, NULL, -ENXIO), -ENXIO);
	KUNIT_EXPECT_EQ(test, configfs_op_result(&group, NULL, 1), -EINVAL);
}

static void not_attached_is_not_live(struct kunit *test)
{
	static const struct config_item_type type;
	struct config_item item = {};

	config_item_init_type_name(&item, "item", &type);
	KUNIT_EXPECT_FALSE(test, config_item_is_live(&item));
	KUNIT_EXPECT_EQ(test, configfs_commit_item(&item), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_uncommit_item(&item), -ENOENT);
	KUNIT_EXPECT_EQ(test, configfs_rename_item(&item, NULL, "name"), -EINVAL);
}

static struct kunit_case configfs_cases[] = {
	KUNIT_CASE(short_and_long_names),
	KUNIT_CASE(find_by_name),
	KUNIT_CASE(no_reference_after_the_last),
	KUNIT_CASE(outer_is_the_nearest_with_a_state),
	KUNIT_CASE(change_and_commit_exclude_each_other),
	KUNIT_CASE(live_is_frozen),
	KUNIT_CASE(dead_is_gone),
	KUNIT_CASE(written_data_are_counted),
	KUNIT_CASE(no_user_while_it_moves),
	KUNIT_CASE(links_move_along),
	KUNIT_CASE(positive_results_are_bugs),
	KUNIT_CASE(not_attached_is_not_live),
	{}
};

static struct kunit_suite configfs_suite = {
	.name = "configfs",
	.test_cases = configfs_cases,
};

kunit_test_suite(configfs_suite);
